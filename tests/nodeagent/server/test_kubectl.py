"""The real kubectl against a real API server and agent: exec, cp, attach, port-forward, logs -f, proxy."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine import KUBECTL
from tests.nodeagent.cluster import Cluster, eventually, wait_for_pod
from tests.nodeagent.registry import free_port
from tiphys.api.core.pod import Pod
from tiphys.client.rest import Client

pytestmark = pytest.mark.timeout(180)
_WEB = "mkdir -p /www; echo page > /www/page; echo started; exec httpd -f -p 8080 -h /www"


def running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and all(s.ready for s in pod.status.containerStatuses)


@dataclass
class Kubectl:
    cluster: Cluster

    @property
    def environment(self) -> dict[str, str]:
        config = str(self.cluster.root / "admin.kubeconfig")
        return {**os.environ, "KUBECONFIG": config, "HOME": str(self.cluster.root), "TERM": "xterm"}

    async def run(self, *words: str, stdin: bytes = b"", cwd: Path | None = None) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *words,
            env=self.environment,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        return process.returncode or 0, out, err

    def start(self, *words: str, output: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([KUBECTL, *words], env=self.environment, stdout=output, stderr=output)

    @contextlib.asynccontextmanager
    async def background(self, log: Path, *words: str) -> AsyncIterator[subprocess.Popen[bytes]]:
        with log.open("wb") as file:
            process = self.start(*words, output=file)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    @contextlib.contextmanager
    def terminal(self, *words: str, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            [KUBECTL, *words],
            env=self.environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        os.set_blocking(master, False)
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            process.wait()
            os.close(master)


@dataclass
class Terminal:
    """A person's side of a terminal in which kubectl runs."""

    master: int
    process: subprocess.Popen[bytes]
    seen: bytes = b""

    async def expect(self, pattern: bytes) -> re.Match[bytes]:
        async def found() -> re.Match[bytes] | None:
            with contextlib.suppress(BlockingIOError, OSError):
                self.seen += os.read(self.master, 65536)
            return re.search(pattern, self.seen)

        try:
            match = await eventually(found, repr(pattern), 20)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.seen!r}") from None
        self.seen = self.seen[match.end() :]
        return match

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def code(self) -> int:
        async def ended() -> int | None:
            return self.process.poll()

        async with asyncio.timeout(20):
            while (code := await ended()) is None:
                with contextlib.suppress(BlockingIOError, OSError):
                    os.read(self.master, 65536)
                await asyncio.sleep(0.05)
        return code


@pytest.fixture
def kubectl(cluster: Cluster) -> Kubectl:
    assert KUBECTL.exists(), "kubectl is missing: make setup-test"
    return Kubectl(cluster)


@pytest.fixture
async def web(cluster: Cluster, client: Client) -> str:
    """The name of a pod that serves /page on port 8080."""
    pod = cluster.pod("web", ["sh", "-c", _WEB])
    with contextlib.suppress(Exception):
        await client.create(pod)
    await wait_for_pod(client, "web", running)
    return "web"


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        body: bytes = answer.read()
        return body


async def test_exec_has_output_and_the_programs_exit_code(kubectl: Kubectl, web: str) -> None:
    code, out, err = await kubectl.run("exec", web, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (code, out) == (7, b"out\n")
    assert err == b"err\ncommand terminated with exit code 7\n"


async def test_exec_takes_input_of_any_size(kubectl: Kubectl, web: str) -> None:
    data = os.urandom(5_000_000)
    code, out, _ = await kubectl.run("exec", "-i", web, "--", "cat", stdin=data)
    assert code == 0 and out == data


async def test_exec_says_what_is_wrong(kubectl: Kubectl, web: str) -> None:
    code, _, err = await kubectl.run("exec", web, "--", "nosuch")
    assert code == 1 and b"error executing command in container: executable file `nosuch` not found" in err
    code, _, err = await kubectl.run("exec", "absent", "--", "ls")
    assert code == 1 and err == b'Error from server (NotFound): pods "absent" not found\n'
    code, _, err = await kubectl.run("exec", web, "-c", "other", "--", "ls")
    assert code == 1 and b"container other is not valid for pod web" in err


async def test_exec_in_a_terminal_knows_its_size_and_control_c(kubectl: Kubectl, web: str) -> None:
    script = "trap 'echo caught; exit 5' INT; tty; read x; busybox stty size; read x; busybox stty size; "
    script += "while :; do sleep 0.1; done"
    with kubectl.terminal("exec", "-it", web, "--", "sh", "-c", script, rows=33, columns=101) as terminal:
        await terminal.expect(rb"/dev/pts/\d+\r\n")
        await asyncio.sleep(0.5)  # kubectl tells the size when it has started, and says nothing about it
        terminal.type(b"go\n")
        await terminal.expect(rb"33 101\r\n")
        terminal.resize(40, 120)
        await asyncio.sleep(0.5)
        terminal.type(b"go\n")
        await terminal.expect(rb"40 120\r\n")
        terminal.type(b"\x03")
        await terminal.expect(rb"caught\r\n")
        assert await terminal.code() == 5


async def test_cp_goes_both_ways(kubectl: Kubectl, web: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_bytes(os.urandom(300_000))
    (source / "other").write_text("other")
    code, _, err = await kubectl.run("cp", str(source), f"{web}:/copied")
    assert code == 0, err
    code, _, err = await kubectl.run("cp", f"{web}:/copied", "back", cwd=tmp_path)
    assert code == 0, err
    assert (tmp_path / "back/deep/file").read_bytes() == (source / "deep/file").read_bytes()
    assert (tmp_path / "back/other").read_text() == "other"


async def test_attach_reaches_the_containers_own_terminal(cluster: Cluster, client: Client, kubectl: Kubectl) -> None:
    await client.create(cluster.pod("shell", ["sh", "-c", "while read x; do echo got $x; done"], stdin=True, tty=True))
    await wait_for_pod(client, "shell", running)
    with kubectl.terminal("attach", "-it", "shell") as terminal:
        await terminal.expect(rb"press(ing)? enter")
        terminal.type(b"a line\n")
        await terminal.expect(rb"got a line\r\n")


async def test_run_with_input_ends_with_the_programs_code(cluster: Cluster, client: Client, kubectl: Kubectl) -> None:
    override = '{"spec":{"nodeName":"test-node","automountServiceAccountToken":false}}'
    words = ("run", "once", "--rm", "-i", "--image", cluster.image, "--restart=Never", "--overrides", override)
    code, out, err = await kubectl.run(*words, "--", "sh", "-c", "read x; echo got $x; exit 3", stdin=b"hello\n")
    assert code == 3 and b"got hello\n" in out, err


async def test_port_forward_serves_many_at_once_on_two_ports(kubectl: Kubectl, web: str, tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    log = tmp_path / "log"
    code, _, _ = await kubectl.run("exec", web, "--", "sh", "-c", "head -c 3000000 /dev/zero > /www/large")
    assert code == 0
    async with kubectl.background(log, "port-forward", f"pod/{web}", f"{first}:8080", f"{second}:8080") as process:

        async def listening() -> bool:
            return log.read_text().count("Forwarding from 127.0.0.1") == 2

        await eventually(listening, "kubectl listens")
        started = time.monotonic()
        pages = await asyncio.gather(
            *(asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/page") for port in (first, second) for _ in range(50))
        )
        assert pages == [b"page\n"] * 100
        large = await asyncio.gather(*(asyncio.to_thread(fetch, f"http://127.0.0.1:{first}/large") for _ in range(4)))
        assert [len(body) for body in large] == [3_000_000] * 4
        assert time.monotonic() - started < 30 and process.poll() is None


async def test_port_forward_tells_of_a_port_where_nobody_listens(kubectl: Kubectl, web: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    async with kubectl.background(log, "port-forward", f"pod/{web}", f"{port}:9999"):

        async def listening() -> bool:
            return "Forwarding from 127.0.0.1" in log.read_text()

        await eventually(listening, "kubectl listens")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/")

        async def told() -> bool:
            return "failed to connect to localhost:9999 inside the pod: connect: connection refused" in log.read_text()

        await eventually(told, "kubectl tells")


async def test_logs_follow_a_running_container(kubectl: Kubectl, web: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with kubectl.background(log, "logs", "-f", web):

        async def says(text: str) -> bool:
            return text in log.read_text()

        await eventually(lambda: says("started\n"), "the log so far")
        await kubectl.run("exec", web, "--", "sh", "-c", "echo later > /proc/1/fd/1")
        await eventually(lambda: says("later\n"), "what comes later")


async def test_the_proxy_reaches_pod_and_node(kubectl: Kubectl, web: str) -> None:
    code, out, err = await kubectl.run("get", "--raw", f"/api/v1/namespaces/default/pods/{web}:8080/proxy/page")
    assert (code, out) == (0, b"page\n"), err
    code, out, err = await kubectl.run("get", "--raw", "/api/v1/nodes/test-node/proxy/healthz")
    assert (code, out) == (0, b"ok"), err


async def test_after_all_this_the_agent_holds_nothing(cluster: Cluster, kubectl: Kubectl, web: str) -> None:
    assert cluster.agent is not None
    pid = cluster.agent.pid

    def held() -> tuple[int, int]:
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return descriptors, sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())

    before = held()
    for _ in range(20):
        process = kubectl.start("exec", web, "--", "sh", "-c", "yes; sleep 999", output=subprocess.PIPE)
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.read, 100_000)
        process.kill()
        process.wait()
        process.stdout.close()

    async def settled() -> bool:
        code, out, _ = await kubectl.run("exec", web, "--", "sh", "-c", "ps | grep -c -e yes -e 'sleep 999'")
        # grep and its shell have the words in their own command lines
        return code == 0 and int(out) <= 2 and all(now <= then for now, then in zip(held(), before, strict=True))

    await eventually(settled, f"nothing is left; before {before}, now {held()}")
    assert list(cluster.node_dir.glob("runtime/containers/*/exec-*")) == []


async def test_our_own_exec_does_what_kubectls_does(kubectl: Kubectl, web: str) -> None:
    data = os.urandom(1_000_000)
    script = "cat; echo err >&2; exit 4"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tiphys.cli.main", "exec", "-i", web, "--", "sh", "-c", script),
        env=kubectl.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(data), 60)
    assert process.returncode == 4 and out == data
    assert err == b"err\ncommand terminated with exit code 4\n"
