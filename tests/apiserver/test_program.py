"""The program: flags in, a listening server, SIGTERM out; and the same server on etcd."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from apiserver.program import parse_flags
from tests.apiserver.cluster import running_cluster, tls_of
from tiphys import pki
from tiphys.clock import SystemClock


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_flags_become_options(tmp_path: Path) -> None:
    options = parse_flags(["--data-dir", str(tmp_path), "--port", "1", "--store", "etcd"])
    assert (options.pki_dir, options.port, options.store) == (tmp_path / "pki", 1, "etcd")


async def test_the_program_serves_until_sigterm_and_exits_with_0(tmp_path: Path) -> None:
    pki.ensure(tmp_path / "pki", pki.cluster_identities(["127.0.0.1"]), SystemClock())
    port = free_port()
    arguments = ["-m", "apiserver", "--data-dir", str(tmp_path), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stderr.readline(), 30)
        assert b" serving " in line, line
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls_of(tmp_path / "pki", "admin"))
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")
        watch = b"GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
        other_reader, other = await asyncio.open_connection("127.0.0.1", port, ssl=tls_of(tmp_path / "pki", "admin"))
        other.write(watch)
        await asyncio.wait_for(other_reader.readline(), 10)
        process.send_signal(signal.SIGTERM)  # with a watch open
        assert await asyncio.wait_for(process.wait(), 10) == 0
        for one in (writer, other):
            one.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_start_that_fails_says_why_and_exits_with_1(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "apiserver", "--data-dir", str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    _, error = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1 and b"cannot start" in error


@pytest.mark.slow
async def test_the_server_works_on_etcd(tmp_path: Path) -> None:
    async with running_cluster(tmp_path, store="etcd") as cluster:
        base = "/api/v1/namespaces/default/configmaps"
        listed = await cluster.must("GET", base)
        version = listed["metadata"]["resourceVersion"]
        made = await cluster.must("POST", base, {"metadata": {"name": "e"}, "data": {"a": "1"}})
        assert await cluster.must("GET", f"{base}/e") == made
        async with cluster.watch(f"{base}?watch=true&resourceVersion={version}") as events:
            assert (await events.next())["object"] == made
            await cluster.must("DELETE", f"{base}/e")
            assert (await events.next())["type"] == "DELETED"
