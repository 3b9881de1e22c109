"""A damaged row in the store: its object errors, lists say so, the server lives, and it can be deleted."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.apiserver.cluster import running_cluster

PATH = "/api/v1/namespaces/default/configmaps"


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": name}}


def damage(data_dir: Path, key: str) -> None:
    """Flip the stored value of `key` behind the server's back."""
    [file] = [path for path in data_dir.rglob("*.db") if path.is_file()]
    connection = apsw.Connection(str(file))
    connection.execute("UPDATE log SET value = x'7b7d' WHERE key = ?", (key,))
    assert connection.changes() == 1
    connection.close()


@pytest.mark.answers_500
async def test_a_damaged_object_errors_alone(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        await cluster.must("POST", PATH, config_map("good"))
        await cluster.must("POST", PATH, config_map("bad"))
    damage(tmp_path, "/registry/core/configmaps/default/bad")
    async with running_cluster(tmp_path) as cluster:
        listed = await cluster.request("GET", PATH)
        assert [item["metadata"]["name"] for item in listed.json["items"]] == ["good"]
        assert "default/bad" in listed.headers["Warning"]
        found = await cluster.request("GET", f"{PATH}/bad")
        assert (found.status, found.json["reason"]) == (500, "InternalError")
        assert "damaged" in found.json["message"]
        assert (await cluster.request("GET", f"{PATH}/good")).status == 200
