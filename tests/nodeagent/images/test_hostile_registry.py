"""Registries that lie: digests, sizes, types, redirects, challenges.  A small server plays them."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nodeagent.images.content import digest_of
from nodeagent.images.credentials import Credential
from nodeagent.images.errors import HostileContentError, ImagePullError
from nodeagent.images.image import MAX_LAYERS
from nodeagent.images.layers import UnpackLimits
from nodeagent.images.layout import BuiltImage, LayerBlob, LayerBuilder, build_image, layer_from_tar
from nodeagent.images.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from nodeagent.images.store import ImageStore
from nodeagent.images.transport import RegistryConfig

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LyingRegistry:
    """Serves an image honestly, but for the paths in `lies`.  `seen` holds (path, Authorization) of every request."""

    def __init__(self) -> None:
        self.lies: dict[str, Answer] = {}
        self.seen: list[tuple[str, str]] = []
        self.image = image()
        self.tag_type = OCI_MANIFEST
        self.host = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, request.headers.get("Authorization", "")))
        for part, lie in self.lies.items():
            if part in request.path:
                return await lie(request)
        name = request.path.rpartition("/")[2]
        if "/manifests/" in request.path:
            digest = self.image.manifest_digest if name == "latest" else name
            body = self.image.blobs.get(digest)
            headers = {"Content-Type": self.tag_type, "Docker-Content-Digest": digest}
        else:
            body, headers = self.image.blobs.get(name), {"Content-Type": "application/octet-stream"}
        if body is None:
            return web.Response(status=404 if "/v2/app" in request.path else 200)
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return web.Response(status=206 if start else 200, body=body[start:], headers=headers)

    @property
    def layer(self) -> str:
        return str(json.loads(self.image.manifest)["layers"][0]["digest"])

    def replace_manifest(self, **changes: Any) -> None:
        manifest = {**json.loads(self.image.manifest), **changes}
        body = json.dumps({key: value for key, value in manifest.items() if value is not None}).encode()
        self.image.blobs[digest_of(body)] = body
        self.image.manifest_digest = digest_of(body)


def image(*layers: LayerBlob) -> BuiltImage:
    return build_image(layers or [LayerBuilder().file("f", "content " * 1000).build()])


@pytest.fixture
async def liar() -> AsyncIterator[LyingRegistry]:
    registry = LyingRegistry()
    async with serving(registry.handle) as host:
        registry.host = host
        yield registry


class serving:
    def __init__(self, handler: Answer, address: str = "127.0.0.1") -> None:
        self._address = address
        self._app = web.Application(client_max_size=1 << 20)
        self._app.router.add_route("*", "/{path:.*}", handler)

    async def __aenter__(self) -> str:
        self._runner = web.AppRunner(self._app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, 0)
        await site.start()
        return f"{self._address}:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ImageStore]:
    opened = ImageStore(tmp_path / "images", limits=UnpackLimits(total_bytes=50_000_000, entries=5000))
    yield opened
    await opened.close()


def answers(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return answer


def redirects(url: str) -> Answer:
    return answers(b"", 307, Location=url)


async def refused(store: ImageStore, liar: LyingRegistry, text: str) -> ImagePullError:
    """The pull fails with the text, leaves nothing, and a correct image works afterwards."""
    with pytest.raises(ImagePullError, match=text) as caught:
        await store.pull(f"{liar.host}/app")
    assert store.list() == []
    assert not list((store.root / "snapshots").iterdir()) and not list((store.root / "staging").iterdir())
    liar.lies.clear()
    liar.image, liar.tag_type = image(), OCI_MANIFEST
    assert (await store.pull(f"{liar.host}/app")).repo_tags == (f"{liar.host}/app:latest",)
    return caught.value


async def test_the_honest_answers_are_accepted(liar: LyingRegistry, store: ImageStore) -> None:
    await store.pull(f"{liar.host}/app")


async def test_a_blob_with_another_digest_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    size = len(liar.image.blobs[liar.layer])
    liar.lies[f"blobs/{liar.layer}"] = answers(b"x" * size)
    await refused(store, liar, "unexpected commit digest sha256:.*, expected sha256:.*: failed precondition")


async def test_a_blob_that_is_too_long_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    liar.lies[f"blobs/{liar.layer}"] = answers(b"x" * 5000)
    await refused(store, liar, "unexpected commit size 5000, expected")


async def test_a_blob_that_is_too_short_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    liar.lies[f"blobs/{liar.layer}"] = answers(b"x" * 5)
    await refused(store, liar, "unexpected commit size 5, expected")


async def test_a_blob_that_breaks_off_every_time_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    liar.lies[f"blobs/{liar.layer}"] = broken
    await refused(store, liar, "unexpected EOF")


async def test_a_blob_that_breaks_off_once_is_resumed(liar: LyingRegistry, store: ImageStore) -> None:
    body = liar.image.blobs[liar.layer]
    ranges: list[str] = []

    async def flaky(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range", ""))
        if len(ranges) > 1:
            del liar.lies[f"blobs/{liar.layer}"]
            return await liar.handle(request)
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[:40])
        assert request.transport is not None
        request.transport.close()
        return response

    liar.lies[f"blobs/{liar.layer}"] = flaky
    await store.pull(f"{liar.host}/app")
    assert ranges == ["", "bytes=40-"]


async def test_a_layer_with_another_diff_id_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    good = LayerBuilder().file("f", "1").build()
    liar.image = image(LayerBlob(good.body, "sha256:" + "0" * 64))
    await refused(store, liar, "failed to extract layer sha256:0+: wrong diff id calculated on extraction")


async def test_a_manifest_with_another_digest_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    other = image(LayerBuilder().file("other", "1").build()).manifest
    liar.lies[f"manifests/{liar.image.manifest_digest}"] = answers(other, Content_Type=OCI_MANIFEST)
    await refused(store, liar, "unexpected commit digest")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"manifests": []}, "ambiguous manifest"),
        ({"mediaType": DOCKER_MANIFEST}, "does not match Content-Type"),
        ({"mediaType": OCI_INDEX}, "does not match Content-Type"),
        ({"mediaType": "application/x"}, "does not match Content-Type"),
        ({"schemaVersion": 1}, "schemaVersion 1 is not supported"),
        ({"layers": {}}, "layers must be a list"),
        ({"config": None}, "not an object"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": 1}]}, "unsupported layer media type"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:../../etc/x", "size": 1}]}, "malformed digest"),
        ({"layers": [{"mediaType": "x", "digest": "md5:" + "a" * 32, "size": 1}]}, "malformed digest"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "A" * 64, "size": 1}]}, "malformed digest"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": -1}]}, "out of range"),
        (
            {"layers": [{"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": 2**70}]},
            "out of range|invalid manifest",
        ),
        ({"layers": [{}] * (MAX_LAYERS + 1)}, "manifest has 129 layers"),
        ({"layers": []}, "mismatched image rootfs and manifest layers"),
        ({"padding": "x" * (5 << 20)}, "longer than 4194304 bytes"),
    ],
)
async def test_a_bad_manifest_is_refused(
    changes: dict[str, Any], text: str, liar: LyingRegistry, store: ImageStore
) -> None:
    liar.replace_manifest(**changes)
    await refused(store, liar, text)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":NaN}'])
async def test_what_is_no_json_is_refused(body: bytes, liar: LyingRegistry, store: ImageStore) -> None:
    liar.image.blobs[digest_of(body)] = body
    liar.image.manifest_digest = digest_of(body)
    await refused(store, liar, "invalid manifest")


async def test_an_index_nested_too_deep_is_refused(liar: LyingRegistry, store: ImageStore) -> None:
    liar.tag_type = OCI_INDEX
    for _ in range(6):
        entry = {"mediaType": OCI_INDEX, "digest": liar.image.manifest_digest, "size": len(liar.image.manifest)}
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
        liar.image.blobs[digest_of(body)] = body
        liar.image.manifest_digest = digest_of(body)
    await refused(store, liar, "nested more than 3 deep")


async def test_urls_of_foreign_layers_are_never_asked(liar: LyingRegistry, store: ImageStore) -> None:
    async with serving(answers(b"")) as elsewhere:
        layers = json.loads(liar.image.manifest)["layers"]
        layers[0]["urls"] = [f"http://{elsewhere}/layer"]
        layers[0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        liar.replace_manifest(layers=layers)
        liar.lies[f"blobs/{liar.layer}"] = answers(b"", 404)
        await refused(store, liar, "not found")


async def test_a_redirect_to_another_host_loses_the_credential(liar: LyingRegistry, store: ImageStore) -> None:
    other = LyingRegistry()
    other.image = liar.image
    async with serving(other.handle) as elsewhere:

        async def challenge(request: web.Request) -> web.StreamResponse:
            if "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in request.path:
                return web.Response(status=307, headers={"Location": f"http://{elsewhere}{request.path}"})
            del liar.lies["/v2/app"]
            answer = await liar.handle(request)
            liar.lies["/v2/app"] = challenge
            return answer

        liar.lies["/v2/app"] = challenge
        await store.pull(f"{liar.host}/app", [Credential(liar.host, "alice", "secret")])
        assert any(authorization for _, authorization in liar.seen), "positive control: it was sent to its own host"
        assert other.seen and all(authorization == "" for _, authorization in other.seen)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "http://u:p@127.0.0.1/", ""])
async def test_a_redirect_to_no_http_address_is_refused(target: str, liar: LyingRegistry, store: ImageStore) -> None:
    liar.lies["/blobs/"] = redirects(target)
    await refused(store, liar, "refused redirect")


async def test_endless_redirects_end(liar: LyingRegistry, store: ImageStore) -> None:
    liar.lies["/blobs/"] = redirects("/v2/app/blobs/again")
    await refused(store, liar, "stopped after 5 redirects")


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer realm="http://registry.example.com/token"',
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://169.254.169.254/latest"',
        'Bearer realm=""',
        "Bearer",
    ],
)
async def test_a_token_realm_elsewhere_over_http_is_refused(
    challenge: str, liar: LyingRegistry, store: ImageStore
) -> None:
    liar.lies["/v2/app"] = answers(b"", 401, WWW_Authenticate=challenge)
    await refused(store, liar, "refused token realm")


@pytest.mark.parametrize("body", [b"{}", b'{"token": 1}', b'{"token": "a\\r\\nX: y"}', b"x" * (2 << 20)])
async def test_a_bad_token_answer_is_refused(body: bytes, liar: LyingRegistry, store: ImageStore) -> None:
    async with serving(answers(body)) as tokens:
        liar.lies["/v2/app"] = answers(b"", 401, WWW_Authenticate=f'Bearer realm="http://{tokens}/t",service="x"')
        await refused(store, liar, "token")


async def test_a_compressed_answer_is_not_expanded_in_transit(liar: LyingRegistry, store: ImageStore) -> None:
    body = gzip.compress(bytes(1_000_000))
    liar.lies[f"blobs/{liar.layer}"] = answers(body, Content_Encoding="gzip")
    await refused(store, liar, "unexpected commit")


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (LayerBuilder().file("../x", "1").build(), r"contains '\.\.'"),
        (LayerBuilder().symlink("l", "/etc").file("l/x", "1").build(), "leads out of the layer"),
        (LayerBuilder().hardlink("h", "/etc/passwd").build(), "not in the layer"),
        (layer_from_tar(b"no tar"), "unexpected EOF"),
        (LayerBlob(b"\x1f\x8b" + b"junk" * 50, "sha256:" + "0" * 64), "gzip"),
        (LayerBlob(gzip.compress(b"x" * 9999)[:-20], "sha256:" + "0" * 64), "unexpected EOF|gzip|tar"),
        (LayerBlob(b"BZh91AY", "sha256:" + "0" * 64), "unsupported compression"),
        (layer_from_tar(LayerBuilder().file("big", bytes(60_000_000)).tar(), 1), "larger than 50000000 bytes"),
    ],
)
async def test_a_hostile_layer_fails_the_pull_with_its_cause(
    layer: LayerBlob, text: str, liar: LyingRegistry, store: ImageStore
) -> None:
    liar.image = image(layer)
    error = await refused(store, liar, text)
    assert isinstance(error, HostileContentError) and "failed to extract layer" in error.message


async def test_a_silent_registry_does_not_hold_the_pull_for_ever(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with serving(silent) as host:
        store = ImageStore(tmp_path / "images", None, RegistryConfig(read_timeout_seconds=0.2))
        with pytest.raises(ImagePullError, match="i/o timeout"):
            await store.pull(f"{host}/app")
        released.set()
        await store.close()


@pytest.fixture
def public_address() -> Iterator[str]:
    """An address of this machine that is not loopback, so that the server on it counts as somewhere else."""
    address = "198.51.100.77"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    yield address
    subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_registry_elsewhere_cannot_send_us_to_this_machine(
    name: str, public_address: str, tmp_path: Path
) -> None:
    inside = LyingRegistry()
    outside = LyingRegistry()
    inside.image = outside.image
    async with serving(inside.handle) as local, serving(outside.handle, public_address) as host:
        port = local.rpartition(":")[2]
        outside.lies["/blobs/"] = redirects(f"http://{name}:{port}/v2/app/blobs/{outside.layer}")
        store = ImageStore(tmp_path / "images", None, RegistryConfig(insecure=frozenset({host})))
        with pytest.raises(ImagePullError, match=r"forbidden address|not a canonical IPv4 address"):
            await store.pull(f"{host}/app")
        assert inside.seen == []
        outside.lies.clear()
        await store.pull(f"{host}/app")
        await store.close()
