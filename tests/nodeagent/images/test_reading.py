"""Tables for what is read: references, configurations, credentials, challenges, platforms, compressed streams."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd

from nodeagent.images.auth import parse_challenges
from nodeagent.images.credentials import (
    Credential,
    CredentialError,
    credentials_from_secret,
    key_matches,
    matching,
    parse_docker_cfg,
    parse_docker_config_json,
)
from nodeagent.images.errors import HostileContentError, InvalidReferenceError
from nodeagent.images.image import Platform, parse_config
from nodeagent.images.layers import chain_ids
from nodeagent.images.manifest import OCI_MANIFEST, Descriptor, choose_manifest, runs_on
from nodeagent.images.reference import Reference, parse_reference
from nodeagent.images.transport import forbidden_address, is_loopback
from nodeagent.images.unpack import LayerError, decompressed

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("quay.io/a__b/c-d.e", "quay.io/a__b/c-d.e:latest"),
        (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}"),
        (f"app:v1@sha256:{HEX}", f"docker.io/library/app:v1@sha256:{HEX}"),
        ("UPPER/app", "UPPER/app:latest"),
    ],
)
def test_a_reference_is_completed(text: str, expected: str) -> None:
    assert str(parse_reference(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ",
        "app ", "App", "a//b", "/app", "app/", "../app", "host.com/../app", "app:", "app:-x", "app:" + "x" * 129,
        "app@", "app@sha256:short", f"app@sha256:{HEX.upper()}", f"app@md5:{'a' * 32}", "app@sha256:../../etc/passwd",
        HEX, "x" * 256, "host.com:99999/app", "host.com:0/app", "a b", "app\n", "app\0", "ünï", "-host.com/app",
        "host_.com/app", "user@host.com/app", "http://host.com/app", "app?x", "app#x", "a..b/c", "x" * 2000,
        "host.com:port/app", "[::1/app", "%2e%2e/app",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


def config(**fields: Any) -> bytes:
    platform = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    return json.dumps({**platform, "config": fields}).encode()


def test_a_configuration_is_read() -> None:
    found = parse_config(
        config(
            Entrypoint=["/bin/x"], Cmd=None, Env=["A=b=c", "E="], User="1000:100", WorkingDir="srv/../srv",
            Volumes={"/data/": {}}, ExposedPorts={"80/tcp": {}}, StopSignal="SIGRTMIN+3", Labels={"a": "b"},
        )
    ).config  # fmt: skip
    assert (found.entrypoint, found.cmd, found.env) == (("/bin/x",), (), ("A=b=c", "E="))
    assert (found.user, found.working_dir, found.volumes) == ("1000:100", "/srv", ("/data",))
    assert (found.exposed_ports, found.stop_signal, found.labels) == (("80/tcp",), "SIGRTMIN+3", {"a": "b"})


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"Entrypoint": "/bin/sh"}, "Entrypoint"), ({"Entrypoint": [1]}, "Entrypoint"), ({"Cmd": [None]}, "Cmd"),
        ({"Cmd": ["a\0b"]}, "Cmd"), ({"Env": ["NOVALUE"]}, "Env"), ({"Env": ["=x"]}, "Env"), ({"Env": {}}, "Env"),
        ({"Env": ["A=\0"]}, "Env"), ({"User": "4294967296"}, "User"), ({"User": "2147483648"}, "User"),
        ({"User": "-1"}, "User"), ({"User": "0:99999999999"}, "User"), ({"User": "a:b:c"}, "User"),
        ({"User": "root\n0"}, "User"), ({"User": 0}, "User"), ({"User": "٣"}, "User"),
        ({"WorkingDir": "/proc/self/fd/3"}, "WorkingDir"), ({"WorkingDir": "/x/../proc/self"}, "WorkingDir"),
        ({"WorkingDir": []}, "WorkingDir"),
        ({"Volumes": {"": {}}}, "Volumes"), ({"Volumes": {"/../../x": {}}}, "Volumes"),
        ({"Volumes": {"x": {}}}, "Volumes"), ({"Volumes": {"/": {}}}, "Volumes"), ({"Volumes": []}, "Volumes"),
        ({"Labels": {"a": 1}}, "Labels"), ({"StopSignal": "KILL; x"}, "StopSignal"),
        ({"ExposedPorts": {"80/icmp": {}}}, "ExposedPorts"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_meant_is_refused_with_the_field(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(HostileContentError, match=name):
        parse_config(config(**fields))


@pytest.mark.parametrize(
    ("key", "repository", "expected"),
    [
        ("registry.example.com", "registry.example.com/a", True),
        ("https://registry.example.com/v1/", "registry.example.com/a", True),
        ("registry.example.com", "registry.example.com:5000/a", False),
        ("registry.example.com:5000", "registry.example.com:5000/a", True),
        ("*.example.com", "registry.example.com/a", True),
        ("*.example.com", "a.registry.example.com/a", False),
        ("*.example.com", "example.com/a", False),
        ("*.*.example.com", "a.b.example.com/x", True),
        ("reg*.example.com", "registry.example.com/a", True),
        ("*", "example.com/a", False),
        ("example.com/team", "example.com/team/app", True),
        ("example.com/team", "example.com/other/app", False),
        ("example.com", "evil-example.com/a", False),
        ("[::1]:5000", "[::1]:5000/a", True),
    ],
)
def test_a_credential_fits_as_in_the_kubelets_keyring(key: str, repository: str, expected: bool) -> None:
    assert key_matches(key, repository) is expected


def test_the_most_specific_credential_comes_first() -> None:
    found = [Credential(key, "u") for key in ("example.com", "example.com/team/app", "example.com/team", "other.com")]
    ordered = matching(found, Reference("example.com", "team/app", "v1"))
    assert [one.registry for one in ordered] == ["example.com/team/app", "example.com/team", "example.com"]
    hub = Credential("https://index.docker.io/v1/", "u")
    assert matching([hub], parse_reference("busybox")) == [hub]


def test_both_secret_forms_are_read() -> None:
    auth = base64.b64encode(b"alice:pass:word").decode()
    document = {"auths": {"example.com": {"auth": auth}, "plain.com": {"username": "b", "password": "c"}}}
    new = credentials_from_secret(
        "kubernetes.io/dockerconfigjson", {".dockerconfigjson": json.dumps(document).encode()}
    )
    old = credentials_from_secret("kubernetes.io/dockercfg", {".dockercfg": json.dumps(document["auths"]).encode()})
    expected = [Credential("example.com", "alice", "pass:word"), Credential("plain.com", "b", "c")]
    assert new == old == expected
    assert "pass" not in repr(new)
    assert credentials_from_secret("Opaque", {".dockercfg": b"{}"}) == []


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"x":1}', b'{"x":{"auth":"!"}}', b'{"x":{"auth":"YQ=="}}', b'{"x":{"username":"a\\n"}}']
)
def test_a_broken_secret_is_refused(data: bytes) -> None:
    with pytest.raises(CredentialError):
        parse_docker_cfg(data)


def test_a_docker_config_without_auths_has_no_credentials() -> None:
    assert parse_docker_config_json(b"{}") == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ('Bearer realm="https://a/t",service="s", scope="repository:a:pull,push"',
         [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:a:pull,push"})]),
        ('Bearer realm="a", Basic realm="b"', [("bearer", {"realm": "a"}), ("basic", {"realm": "b"})]),
        ('Bearer realm="a\\"b"', [("bearer", {"realm": 'a"b'})]),
        ("Negotiate", [("negotiate", {})]),
        ("", []), ("=", []), ('"', []), ("Bearer " + "a=" * 5000, [("bearer", {})]),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(one.scheme, one.parameters) for one in parse_challenges([header])]
    if expected and not expected[0][1]:
        assert found[0][0] == expected[0][0]
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("host", "available", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/386", "linux/amd64/v1"], "linux/amd64/v1"),
        ("linux/amd64", ["linux/amd64/v3", "linux/386"], "linux/386"),
        ("linux/arm64/v8", ["linux/arm/v7", "linux/arm64"], "linux/arm64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["windows/amd64", "unknown/unknown"], None),
        ("linux/amd64", [], None),
    ],
)
def test_the_manifest_for_the_host_is_chosen(host: str, available: list[str], chosen: str | None) -> None:
    entries = [Descriptor(OCI_MANIFEST, name, 1, Platform(*name.split("/"))) for name in available]
    found = choose_manifest(entries, Platform(*host.split("/")))
    assert (found.digest if found else None) == chosen


def test_an_image_without_a_platform_runs_anywhere() -> None:
    assert runs_on(Platform("", ""), Platform("linux", "amd64"))
    assert not runs_on(Platform("windows", "amd64"), Platform("linux", "amd64"))


def test_chain_ids_follow_the_image_specification() -> None:
    first, second = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    expected = "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    assert chain_ids([first, second]) == [first, expected]
    assert chain_ids([]) == []


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("169.254.169.254", True),
        ("fe80::1%eth0", True), ("0.0.0.0", True), ("::", True), ("10.0.0.1", False), ("93.184.216.34", False),
        ("example.com", False),
    ],
)  # fmt: skip
def test_addresses_a_stranger_may_not_send_us_to(address: str, refused: bool) -> None:
    assert forbidden_address(address) is refused


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost:5000", True), ("127.0.0.1", True), ("[::1]:5000", True), ("10.0.0.1:5000", False), ("x.com", False)],
)
def test_plain_http_is_for_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


DATA = bytes(range(256)) * 20_000


@pytest.mark.parametrize(
    "compress",
    [
        lambda data: data,
        gzip.compress,
        lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
        zstd.compress,
        lambda data: zstd.compress(data[:1000]) + zstd.compress(data[1000:]),
    ],
)
def test_every_compression_is_told_by_its_first_bytes(compress: Callable[[bytes], bytes]) -> None:
    read = io.BytesIO(compress(DATA)).read
    assert b"".join(decompressed(read, ratio=1000, total_bytes=len(DATA))) == DATA


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (gzip.compress(DATA)[:-9], "unexpected EOF"),
        (zstd.compress(DATA)[:-9], "unexpected EOF"),
        (gzip.compress(DATA) + b"tail", "gzip: invalid header"),
        (b"\x1f\x8b" + bytes(50), "gzip"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "zstd"),
        (gzip.compress(bytes(30_000_000)), "larger than"),
        (b"\xfd7zXZ\x00", "unsupported compression"),
    ],
)
def test_a_bad_stream_is_refused(stream: bytes, text: str) -> None:
    with pytest.raises(LayerError, match=text):
        list(decompressed(io.BytesIO(stream).read, ratio=1000, total_bytes=20_000_000))


def test_a_bomb_is_stopped_by_its_ratio() -> None:
    squeeze = zlib.compressobj(1, wbits=31)
    bomb = b"".join(squeeze.compress(bytes(1 << 24)) for _ in range(20)) + squeeze.flush()
    made = 0
    with pytest.raises(LayerError, match="expands more than 100 times"):
        for piece in decompressed(io.BytesIO(bomb).read, ratio=100, total_bytes=1 << 40):
            made += len(piece)
    assert made < 300 << 20


def test_a_zstd_window_beyond_the_memory_limit_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 30}
    frame = zstd.ZstdCompressor(options=options).compress(DATA * 2) + b""
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, (30 - 10) << 3])  # no content size; window of 1 GiB
    assert isinstance(frame, bytes)
    with pytest.raises(LayerError, match="zstd"):
        list(decompressed(io.BytesIO(header + bytes(100)).read, ratio=100, total_bytes=1 << 40))
