"""An unmodified kubectl against a running server."""

from __future__ import annotations

import json

import pytest

from tests.apiserver.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "example:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


async def test_apply_says_created_unchanged_and_configured(cluster: Cluster) -> None:
    code, out, error = await cluster.kubectl("apply", "-f", "-", stdin=APP)
    assert (code, out) == (0, "deployment.apps/web created\nservice/web created\n"), error
    code, out, _ = await cluster.kubectl("apply", "-f", "-", stdin=APP)
    assert out == "deployment.apps/web unchanged\nservice/web unchanged\n"
    changed = APP.replace("example:1", "example:2")
    code, out, _ = await cluster.kubectl("diff", "-f", "-", stdin=changed)
    assert code == 1 and "+      - image: example:2" in out
    code, out, _ = await cluster.kubectl("apply", "-f", "-", stdin=changed)
    assert out.startswith("deployment.apps/web configured\n")
    code, out, error = await cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
    assert (code, out) == (0, "deployment.apps/web serverside-applied\nservice/web serverside-applied\n"), error
    code, out, error = await cluster.kubectl("scale", "deployment/web", "--replicas=3")
    assert (code, out) == (0, "deployment.apps/web scaled\n"), error
    code, out, _ = await cluster.kubectl("get", "deployments", "-o", "wide", "--no-headers")
    assert out.split()[:2] == ["web", "0/3"]
    code, out, _ = await cluster.kubectl("delete", "-f", "-", stdin=changed)
    assert code == 0 and 'deployment.apps "web" deleted' in out


async def test_explain_describe_and_discovery_work(cluster: Cluster) -> None:
    code, out, error = await cluster.kubectl("explain", "deployment.spec.replicas")
    assert code == 0 and "FIELD: replicas <integer>" in out, error
    code, out, _ = await cluster.kubectl("api-resources", "--no-headers")
    assert any(line.split()[:2] == ["deployments", "deploy"] for line in out.splitlines())
    code, out, error = await cluster.kubectl("describe", "namespace", "default")
    assert code == 0 and "Status:       Active" in out, error
    code, out, _ = await cluster.kubectl("version", "-o", "json")
    assert json.loads(out)["serverVersion"]["minor"] == "36"


async def test_an_unknown_field_is_refused_by_the_client_or_the_server(cluster: Cluster) -> None:
    broken = APP.replace("replicas: 2", "replica: 2")
    code, _, error = await cluster.kubectl("apply", "-f", "-", stdin=broken)
    assert code == 1 and 'unknown field "spec.replica"' in error


async def test_who_am_i_and_what_may_i(cluster: Cluster) -> None:
    code, out, _ = await cluster.kubectl("auth", "whoami")
    assert "kubernetes-admin" in out
    code, out, error = await cluster.kubectl("auth", "can-i", "create", "pods")
    assert (code, out) == (0, "yes\n"), error
    code, out, error = await cluster.kubectl("create", "token", "default")
    assert code == 0 and out.count(".") == 2, error


async def test_a_pod_is_printed_as_upstream_prints_it(cluster: Cluster) -> None:
    code, _, error = await cluster.kubectl("run", "printed", "--image=example:1")
    assert code == 0, error
    code, out, _ = await cluster.kubectl("get", "pod", "printed", "-o", "wide")
    header, row = out.splitlines()
    assert header.split() == [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED",
        "NODE",
        "READINESS",
        "GATES",
    ]
    assert row.split()[:4] == ["printed", "0/1", "Pending", "0"]
    code, out, _ = await cluster.kubectl("delete", "pod", "printed")
    assert code == 0 and 'pod "printed" deleted' in out
