"""Large lists leave piece by piece in every representation: the same bytes as whole ones, and little memory."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from apiserver.verbs import list as list_verb
from apiserver.verbs import listform
from tests.apiserver.cluster import Cluster, tls_of
from tests.apiserver.hostile.target import MIB, Target, running_target

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
FORMS = ["application/json", TABLE, METADATA, YAML, "application/yaml;as=Table;v=v1;g=meta.k8s.io", PROTOBUF]
OBJECTS = 70  # more than one turn of any form
BASE = "/api/v1/namespaces/default/configmaps"
LARGE, LARGE_BYTES, CLIENTS = 150, 200_000, 10


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(cluster: Cluster) -> Cluster:
    for number in range(OBJECTS):
        body = {
            "metadata": {"name": f"m{number:02}", "labels": {"n": str(number)}},
            "data": {"text": "a: 'b'\n- é\n" * 9},
        }
        await cluster.must("POST", BASE, body)
    return cluster


@pytest.mark.parametrize("selector", ["", "?labelSelector=n%3D7", "?labelSelector=none"])
@pytest.mark.parametrize("accept", FORMS)
async def test_the_pieces_are_the_bytes_of_the_whole(
    filled: Cluster, accept: str, selector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await filled.request("GET", BASE + selector, headers={"Accept": accept})
    with monkeypatch.context() as patch:
        patch.setattr(list_verb, "STREAM_FROM_BYTES", -1)
        patch.setattr(listform, "PIECE_BYTES", 1000)
        pieces = await filled.request("GET", BASE + selector, headers={"Accept": accept})
    later = await filled.request("GET", BASE + selector, headers={"Accept": accept})  # ages may have grown
    assert (whole.status, pieces.status) == (200, 200)
    assert "Content-Length" in whole.headers and "Content-Length" not in pieces.headers
    assert pieces.headers["Content-Type"] == whole.headers["Content-Type"]
    assert pieces.body in (whole.body, later.body)
    if accept == YAML:
        assert len(yaml.safe_load(pieces.body)["items"]) == {"": OBJECTS, "?labelSelector=n%3D7": 1}.get(selector, 0)


async def test_pieces_are_compressed_for_who_takes_it(filled: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = await filled.request("GET", BASE, headers={"Accept": METADATA})
    monkeypatch.setattr(list_verb, "STREAM_FROM_BYTES", 0)
    connector = aiohttp.TCPConnector(ssl=tls_of(filled.data_dir / "pki", "admin"))
    accepted = {"Accept": METADATA, "Accept-Encoding": "gzip"}
    async with (
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
        session.get(filled.url + BASE, headers=accepted) as answer,
    ):
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()) == plain.body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def heavy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    directory: Path = tmp_path_factory.mktemp("heavy")
    async with running_target(directory) as target:
        for start in range(0, LARGE, 10):
            bodies = [
                {"metadata": {"name": f"large-{start + number}"}, "data": {"text": "x" * LARGE_BYTES}}
                for number in range(10)
            ]
            await asyncio.gather(*(target.must("POST", BASE, body) for body in bodies))
        yield target


@pytest.mark.parametrize("accept", FORMS)
async def test_many_clients_of_a_large_list_cost_pieces_not_copies(heavy: Target, accept: str) -> None:
    """10 clients, 30 MB each: whole answers, or whole decoded lists, would be 300 MB at once."""
    await asyncio.sleep(0.1)
    heavy.forget_peak()
    resting = heavy.memory_bytes()

    async def slowly() -> int:
        size = 0
        async with heavy.session().get(heavy.url + BASE, headers={"Accept": accept}) as answer:
            assert answer.status == 200
            await asyncio.sleep(0.3)  # all of them are being answered
            async for piece in answer.content.iter_any():
                size += len(piece)
        return size

    sizes = await asyncio.gather(*(slowly() for _ in range(CLIENTS)))
    assert len(set(sizes)) == 1
    assert "as=" in accept or sizes[0] > LARGE * LARGE_BYTES
    assert heavy.peak_bytes() - resting <= 128 * MIB
