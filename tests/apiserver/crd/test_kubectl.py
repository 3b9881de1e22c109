"""An unmodified kubectl with a custom resource: apply the definition, wait, apply, get, explain, scale, delete."""

from __future__ import annotations

import json

import pytest

from tests.apiserver.cluster import Cluster
from tests.apiserver.crd.definitions import crd

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kubectl(cluster: Cluster, *arguments: str, stdin: str = "") -> str:
    code, out, error = await cluster.kubectl(*arguments, stdin=stdin)
    assert code == 0, f"kubectl {' '.join(arguments)}: {error}"
    return out


async def test_kubectl_lives_with_a_custom_resource_from_apply_to_delete(cluster: Cluster) -> None:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    columns = [{"name": "Schedule", "type": "string", "jsonPath": ".spec.cronSpec"}]
    definition = crd("shells", "Shell", subresources={"scale": scale}, additionalPrinterColumns=columns)
    definition["spec"]["names"] |= {"shortNames": ["sh"], "categories": ["tiphys-tests"]}
    name = "crd/shells.stable.example.com"
    assert "created" in await kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(definition))
    assert "condition met" in await kubectl(cluster, "wait", "--for=condition=Established", name, "--timeout=10s")
    shell = {
        "apiVersion": "stable.example.com/v1",
        "kind": "Shell",
        "metadata": {"name": "bash"},
        "spec": {"cronSpec": "*/5 * * * *"},
    }
    assert "shell.stable.example.com/bash created" in await kubectl(
        cluster, "apply", "-f", "-", stdin=json.dumps(shell)
    )
    shell["spec"]["replicas"] = 3  # type: ignore[index]
    configured = await kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(shell))
    assert configured == "shell.stable.example.com/bash configured\n"
    unchanged = await kubectl(
        cluster, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(shell)
    )
    assert unchanged == "shell.stable.example.com/bash serverside-applied\n"
    listed = (await kubectl(cluster, "get", "sh")).splitlines()
    assert [line.split()[:2] for line in listed] == [["NAME", "SCHEDULE"], ["bash", "*/5"]]
    assert "shell.stable.example.com/bash" in await kubectl(cluster, "get", "tiphys-tests", "-o", "name")
    explained = await kubectl(cluster, "explain", "shell.spec.replicas")
    assert "FIELD: replicas <integer>" in explained
    assert "scaled" in await kubectl(cluster, "scale", "shell/bash", "--replicas=5")
    assert await kubectl(cluster, "get", "shell", "bash", "-o", "jsonpath={.spec.replicas}") == "5"
    code, _, error = await cluster.kubectl("apply", "-f", "-", stdin=json.dumps({**shell, "spec": {"bogus": 1}}))
    assert code == 1
    assert 'unknown field "spec.bogus"' in error
    await kubectl(cluster, "delete", name, "--timeout=20s")
    fresh = f"--cache-dir={cluster.data_dir / 'fresh'}"
    code, _, error = await cluster.kubectl("get", "shells", fresh)
    assert code == 1
    assert "the server doesn't have a resource type" in error
