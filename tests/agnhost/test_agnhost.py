"""The test image's program prints what upstream's prints."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from tests.agnhost.build import compile_program
from tests.agnhost.certificate import localhost
from tests.conformance.api import eventually
from tests.nodeagent.registry import free_port

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program(tmp_path_factory.mktemp("agnhost"))


@pytest.fixture
def start(program: Path) -> Iterator[Start]:
    """Start the program with a server in it; returns when the port answers."""
    running = []

    def begin(port: int, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, **environment}
        running.append(subprocess.Popen([program, *words], stderr=subprocess.DEVNULL, env=env))
        eventually(lambda: _answers(port), f"{words} listens on port {port}")
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def run(program: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def test_netexec_answers_over_http_and_udp(start: Start) -> None:
    port, udp_port = free_port(), free_port()
    server = start(port, "netexec", f"--http-port={port}", "--udp-port", str(udp_port))
    name = socket.gethostname()
    eventually(lambda: get(port, "/healthz")[0] == 200, "the UDP server is there")
    assert get(port, "/hostname") == get(port, "/hostName") == (200, name)
    assert get(port, "/echo?msg=two%20words+more") == (200, "two words more")
    assert get(port, "/echo?msg=bad&code=500") == (500, "bad")
    assert get(port, "/clientip")[1].startswith("127.0.0.1:")
    assert get(port, "/")[1].startswith("NOW: ")
    assert json.loads(get(port, "/shell?cmd=echo%20hi%3B%20exit%203")[1]) == {
        "output": "hi\n",
        "error": "exit status 3",
    }
    for protocol, where in (("http", port), ("udp", udp_port)):
        path = f"/dial?host=127.0.0.1&port={where}&protocol={protocol}&request=hostname&tries=2"
        assert json.loads(get(port, path)[1]) == {"responses": [name, name]}
    assert get(port, "/dial?host=127.0.0.1")[0] == 400
    assert get(port, "/exit?code=3&timeout=1s")[0] == 200
    assert server.wait(10) == 3


def test_connect_says_in_a_word_why_it_failed(program: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert run(program, "connect", f"127.0.0.1:{port}", "--timeout=1s") == (0, "", "")
    assert run(program, "connect", f"127.0.0.1:{port}", "--timeout=1s") == (1, "", "REFUSED\n")
    assert run(program, "connect", "127.0.0.1")[2].startswith("UNKNOWN: ")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        assert run(program, "connect", f"127.0.0.1:{port}", "--timeout=300ms") == (1, "", "TIMEOUT\n")
        for one in queued:
            one.close()


def test_mounttest_prints_modes_owners_and_contents(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    flags = [f"--{flag}={path}" for flag in ("new_file_0660", "file_mode", "file_perm", "file_owner", "file_content")]
    content = f'content of file "{path}": mount-tester new file\n\n'
    expected = content + f'mode of file "{path}": -rw-rw----\nperms of file "{path}": -rw-rw----\n'
    expected += f'owner UID of "{path}": 0\nowner GID of "{path}": 0\n' + content
    assert run(program, "mounttest", *flags) == (0, expected, "")
    absent = tmp_path / "absent"
    code, out, _ = run(program, "mounttest", f"--file_content={absent}")
    assert (code, out) == (
        1,
        f'error reading file content for "{absent}": open {absent}: no such file or directory\n',
    )


def test_the_health_service_speaks_grpc(start: Start) -> None:
    port, http_port = free_port(), free_port()
    start(port, "grpc-health-checking", "--port", str(port), "--http-port", str(http_port), "--service=known")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        request = b"\x0a\x05known"
        assert check(request, timeout=10) == b"\x08\x01"  # SERVING
        get(http_port, "/make-not-serving")
        assert check(request, timeout=10) == b"\x08\x02"
        with pytest.raises(grpc.RpcError) as refused:
            check(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_porter_serves_what_its_environment_says(start: Start) -> None:
    port = free_port()
    start(port, "porter", "--json-response", **{f"SERVE_PORT_{port}": "foo"})
    assert json.loads(get(port, "/anything")[1]) == {"Method": "GET", "Body": "foo"}


def test_porter_and_netexec_serve_tls(start: Start, tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for path, text in zip((certificate, key), localhost(), strict=True):
        path.write_bytes(text)
    port, other = free_port(), free_port()
    environment = {f"SERVE_TLS_PORT_{port}": "tls baz", "CERT_FILE": str(certificate), "KEY_FILE": str(key)}
    start(port, "porter", **environment)
    files = (f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}")
    start(other, "netexec", f"--http-port={other}", "--udp-port=-1", *files)
    context = ssl.create_default_context(cafile=str(certificate))
    for number, target, expected in ((port, "/", "tls baz"), (other, "/echo?msg=" + "long" * 2000, "long" * 2000)):
        url = f"https://localhost:{number}{target}"
        with urllib.request.urlopen(url, context=context, timeout=15) as answer:
            assert answer.read().decode() == expected


def test_serve_hostname_serves_the_name(start: Start) -> None:
    port = free_port()
    start(port, "serve-hostname", f"--port={port}")
    assert get(port, "/") == (200, socket.gethostname())
