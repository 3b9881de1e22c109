"""Lists in pages, and what becomes of them when their revision has been compacted away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.api import Api, Object, eventually
from tests.conformance.cluster import administrator, free_port, store
from tests.conformance.rows import row
from tiphys import pki
from tiphys.cli.cluster import Layout
from tiphys.clock import SystemClock

COUNT = 400


def fill(api: Api, path: str, count: int) -> list[str]:
    """Make `count` PodTemplates; their names in the order of lists."""
    spec = {"containers": [{"name": "test", "image": "test2"}]}
    names = [f"template-{number:04}" for number in range(count)]

    def make(name: str) -> Object:
        return api.create(path, {"metadata": {"name": name}, "template": {"spec": spec}})

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(make, names))
    return names


@row(88, "API Chunking, server should return chunks of results for list calls")
def test_servers_with_chunking_return_chunks_of_results_for_list_calls(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    names = fill(api, path, COUNT)
    for limit in (17, 150):
        found: list[str] = []
        version = token = ""
        while True:
            page = api.get(path, limit=limit, **({"continue": token} if token else {}))
            found += [item["metadata"]["name"] for item in page["items"]]
            assert 0 < len(page["items"]) <= limit
            version = version or page["metadata"]["resourceVersion"]
            assert page["metadata"]["resourceVersion"] == version
            assert page["metadata"].get("remainingItemCount", 0) == COUNT - len(found)
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert found == names
    whole = api.get(path)
    assert [item["metadata"]["name"] for item in whole["items"]] == names
    assert "continue" not in whole["metadata"] and "remainingItemCount" not in whole["metadata"]


@contextmanager
def forgetful_server(directory: Path) -> Iterator[Api]:
    """An API server that compacts its store every second, where the cluster's waits for five minutes."""
    layout, port = Layout(directory), free_port()
    layout.make()
    pki.ensure(layout.pki, pki.cluster_identities(["127.0.0.1", "localhost"]), SystemClock())
    words = ["--data-dir", str(directory), "--port", str(port), "--store", store()]
    with (directory / "apiserver.log").open("wb") as log:
        command = [sys.executable, "-m", "apiserver", *words, "--compaction-seconds", "1"]
        process = subprocess.Popen(command, stderr=log)
    try:
        api = administrator(layout, port)

        def is_ready() -> bool:
            assert process.poll() is None, (directory / "apiserver.log").read_text()
            try:
                return api.call("GET", "/readyz").status == 200
            except OSError:
                return False

        eventually(is_ready, "the server is ready")
        yield api
    finally:
        process.terminate()
        process.wait(30)


@row(
    89,
    "API Chunking, server should support continue listing from the last key even if the original version has been "
    "compacted away",
)
def test_servers_with_chunking_continue_from_the_last_key_when_the_version_is_compacted_away(tmp_path: Path) -> None:
    path, count, limit = "/api/v1/namespaces/default/podtemplates", 40, 16
    with forgetful_server(tmp_path) as api:
        names = fill(api, path, count)
        first = api.get(path, limit=limit)
        version, token = first["metadata"]["resourceVersion"], first["metadata"]["continue"]

        def expired() -> Object | None:
            api.patch(f"{path}/{names[0]}", {"metadata": {"annotations": {"turn": version}}})
            answer = api.call("GET", path, limit=limit, **{"continue": token})
            assert answer.status in (200, 410), f"{answer.status} {answer.message}"
            return answer.json if answer.status == 410 else None

        status = eventually(expired, "the version of the list is compacted away")
        assert (status["reason"], status["code"]) == ("Expired", 410)
        again = status["metadata"]["continue"]
        assert again and again != token

        found = [item["metadata"]["name"] for item in first["items"]]
        while again:
            page = api.get(path, limit=limit, **{"continue": again})
            found += [item["metadata"]["name"] for item in page["items"]]
            assert int(page["metadata"]["resourceVersion"]) > int(version)
            again = page["metadata"].get("continue", "")
        assert found == names
