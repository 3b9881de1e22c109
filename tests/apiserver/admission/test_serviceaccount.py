"""The account of a pod: that of a namespace made a moment ago is waited for, any other must be there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}


async def test_a_pod_waits_for_the_default_account_of_a_new_namespace(cluster: Cluster) -> None:
    await cluster.must("POST", "/api/v1/namespaces", {"metadata": {"name": "fresh"}})
    pod = asyncio.create_task(cluster.request("POST", "/api/v1/namespaces/fresh/pods", POD))
    done, _ = await asyncio.wait([pod], timeout=0.05)  # no controllers here: nobody has made the account
    assert not done
    await cluster.must("POST", "/api/v1/namespaces/fresh/serviceaccounts", {"metadata": {"name": "default"}})
    answer = await pod
    assert answer.status == 201, answer.body
    assert answer.json["spec"]["serviceAccountName"] == "default"


async def test_an_account_that_is_not_there_is_named_in_the_refusal(cluster: Cluster) -> None:
    spec = {**POD["spec"], "serviceAccountName": "ghost"}
    answer = await cluster.request("POST", "/api/v1/namespaces/default/pods", {**POD, "spec": spec})
    assert answer.status == 403
    assert 'error looking up service account default/ghost: serviceaccount "ghost" not found' in answer.json["message"]
