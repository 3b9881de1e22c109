"""Pulling from a real docker-registry: names, platforms, authentication, TLS, failures, concurrency, kill -9."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nodeagent.images.credentials import Credential
from nodeagent.images.errors import AccessDeniedError, ImagePullError, InvalidReferenceError, NotFoundError
from nodeagent.images.image import Platform
from nodeagent.images.layout import BuiltImage, LayerBuilder, build_image, build_index
from nodeagent.images.push_example import example_image
from nodeagent.images.store import ImageStore, ImageStoreError, PullProgress
from nodeagent.images.transport import RegistryConfig
from tests.nodeagent.registry import PASSWORD, USER, Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ImageStore]:
    opened = ImageStore(tmp_path / "images")
    yield opened
    await opened.close()


def image(text: str, layers: int = 2) -> BuiltImage:
    blobs = [LayerBuilder().file(f"layer{n}", f"{text} {n}").build() for n in range(layers)]
    return build_image(blobs, {"Cmd": ["/bin/sh"], "Env": [f"TEXT={text}"]})


def on_disk(store: ImageStore) -> dict[str, int]:
    return {
        name: len(list((store.root / name).iterdir())) for name in ("blobs/sha256", "snapshots", "ingest", "staging")
    }


async def test_a_tag_is_pulled_and_unpacked_layer_by_layer(registry: Registry, store: ImageStore) -> None:
    name = registry.push(image("hello"), "plain/hello", "v1")
    events: list[PullProgress] = []
    found = await store.pull(name, progress=events.append)
    assert [(path / f"layer{n}").read_text() for n, path in enumerate(found.layers)] == ["hello 0", "hello 1"]
    assert found.config.env == ("TEXT=hello",) and found.repo_tags == (name,)
    assert store.get(name) == store.get(found.id) == store.get(found.repo_digests[0]) == found
    assert {"resolving", "resolved", "downloading", "unpacking", "done"} <= {event.status for event in events}
    assert on_disk(store) == {"blobs/sha256": 4, "snapshots": 2, "ingest": 0, "staging": 0}


async def test_a_digest_is_pulled_and_gets_no_tag(registry: Registry, store: ImageStore) -> None:
    built = image("by digest")
    registry.push(built, "plain/digest", "v1")
    found = await store.pull(f"{registry.host}/plain/digest@{built.manifest_digest}")
    assert found.repo_tags == () and found.repo_digests[0].endswith(built.manifest_digest)


async def test_an_index_is_resolved_by_platform(registry: Registry, tmp_path: Path) -> None:
    entries = []
    for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v6"), ("arm", "v7")):
        platform = {"os": "linux", "architecture": architecture, "variant": variant}
        layer = LayerBuilder().file("arch", architecture + variant).build()
        entries.append((build_image([layer], platform=platform), platform))
    name = registry.push(build_index(entries), "plain/index")
    for wanted, expected in ((("amd64", ""), "amd64"), (("arm", "v7"), "armv7"), (("arm64", "v8"), "arm64v8")):
        store = ImageStore(tmp_path / expected, platform=Platform("linux", *wanted))
        found = await store.pull(name)
        assert (found.layers[0] / "arch").read_text() == expected
        await store.close()
    store = ImageStore(tmp_path / "other", platform=Platform("linux", "s390x"))
    with pytest.raises(NotFoundError, match="no match for platform in manifest"):
        await store.pull(name)
    await store.close()


async def test_an_image_for_another_processor_is_refused(registry: Registry, store: ImageStore) -> None:
    layer = LayerBuilder().file("x", "1").build()
    built = build_image([layer], platform={"os": "linux", "architecture": "s390x"})
    with pytest.raises(NotFoundError, match="no match for platform"):
        await store.pull(registry.push(built, "plain/s390x"))


async def test_what_is_missing_is_said_as_upstream_says_it(registry: Registry, store: ImageStore) -> None:
    registry.push(image("there"), "plain/there", "v1")
    name = f"{registry.host}/plain/there:v2"
    with pytest.raises(NotFoundError) as caught:
        await store.pull(name)
    assert caught.value.message == (
        f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found'
    )
    assert caught.value.rpc_message.startswith("rpc error: code = NotFound desc = failed to pull")


async def test_a_name_that_is_no_reference_is_told_apart(store: ImageStore) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        await store.pull("Not A Name")
    assert caught.value.reason == "InvalidImageName"


async def test_a_registry_that_is_down_and_comes_back(tmp_path: Path, store: ImageStore) -> None:
    with Registry(tmp_path / "registry") as registry:
        name = registry.push(image("later"), "plain/later")
        registry.stop()
        with pytest.raises(ImagePullError, match=r"dial tcp 127.0.0.1:\d+: connect: connection refused"):
            await store.pull(name)
        registry.start()
        assert (await store.pull(name)).repo_tags == (name,)


@pytest.mark.parametrize("auth", ["basic", "token"])
async def test_a_guarded_registry_wants_the_right_credential(auth: str, tmp_path: Path, store: ImageStore) -> None:
    with Registry(tmp_path / "registry", auth=auth) as registry:
        name = registry.push(image("secret"), "private/app")
        with pytest.raises(AccessDeniedError, match="pull access denied, repository does not exist or may require"):
            await store.pull(name)
        wrong = Credential(registry.host, USER, "wrong")
        with pytest.raises(AccessDeniedError, match="pull access denied") as caught:
            await store.pull(name, [wrong])
        assert "wrong" not in caught.value.message
        elsewhere = Credential("registry.example.com", USER, PASSWORD)
        with pytest.raises(AccessDeniedError):
            await store.pull(name, [elsewhere])
        right = Credential(registry.host, USER, PASSWORD)
        found = await store.pull(name, [elsewhere, wrong, right])
        assert (found.layers[0] / "layer0").read_text() == "secret 0"


async def test_a_token_is_had_without_a_name_for_what_is_public(tmp_path: Path, store: ImageStore) -> None:
    with Registry(tmp_path / "registry", auth="token") as registry:
        await store.pull(registry.push(image("open"), "public/app"))
        assert registry.tokens is not None
        assert all(authorization == "" for _, authorization in registry.tokens.requests)
        assert all("scope=repository:public/app:pull" in path.replace("%3A", ":").replace("%2F", "/")
                   for path, _ in registry.tokens.requests)  # fmt: skip


async def test_https_is_verified_against_the_configured_ca(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry", tls=True, auth="basic") as registry:
        name = registry.push(image("tls"), "plain/tls")
        credential = Credential(registry.host, USER, PASSWORD)
        store = ImageStore(tmp_path / "distrusting")
        with pytest.raises(ImagePullError, match="x509: certificate signed by unknown authority"):
            await store.pull(name, [credential])
        await store.close()
        assert registry.ca_file is not None
        store = ImageStore(tmp_path / "named", None, RegistryConfig(ca_files={registry.host: registry.ca_file}))
        assert (await store.pull(name, [credential])).repo_tags == (name,)
        await store.close()
        certs = tmp_path / "certs.d" / registry.host
        certs.mkdir(parents=True)
        (certs / "ca.crt").write_bytes(registry.ca_file.read_bytes())
        store = ImageStore(tmp_path / "directory", None, RegistryConfig(certs_dirs=(tmp_path / "certs.d",)))
        assert (await store.pull(name, [credential])).repo_tags == (name,)
        await store.close()


async def test_a_mirror_is_asked_first_and_may_fail(registry: Registry, tmp_path: Path) -> None:
    name = registry.push(image("mirrored"), "plain/mirrored")
    mirrors = {"registry.invalid": ("http://127.0.0.1:1", f"http://{registry.host}")}
    store = ImageStore(tmp_path / "images", None, RegistryConfig(mirrors=mirrors))
    found = await store.pull("registry.invalid/plain/mirrored")
    assert found.repo_tags == ("registry.invalid/plain/mirrored:latest",)
    with pytest.raises(ImagePullError, match=r"lookup registry.invalid: no such host"):
        await store.pull("registry.invalid/plain/unknown")
    assert name
    await store.close()


async def test_a_layer_shared_by_images_is_unpacked_once(registry: Registry, store: ImageStore) -> None:
    base = LayerBuilder().file("base", "shared").build()
    names = []
    for text in ("one", "two"):
        built = build_image([base, LayerBuilder().file("app", text).build()], {"Env": [f"T={text}"]})
        names.append(registry.push(built, f"plain/share-{text}"))
    one, two = await asyncio.gather(*(store.pull(name) for name in names))
    assert one.layers[0] == two.layers[0] and one.layers[1] != two.layers[1]
    assert on_disk(store)["snapshots"] == 3


async def test_concurrent_pulls_of_one_image_download_it_once(registry: Registry, store: ImageStore) -> None:
    name = registry.push(image("stampede", layers=3), "plain/stampede")
    events: list[PullProgress] = []
    found = await asyncio.gather(*(store.pull(name, progress=events.append) for _ in range(8)))
    assert len({one.id for one in found}) == 1
    assert sum(event.status == "unpacking" for event in events) == 3


async def test_a_cancelled_pull_leaves_others_going(registry: Registry, store: ImageStore) -> None:
    layers = [LayerBuilder().file("big", bytes(8_000_000) + bytes([n])).build() for n in range(3)]
    name = registry.push(build_image(layers), "plain/cancelled")
    first = asyncio.create_task(store.pull(name))
    second = asyncio.create_task(store.pull(name))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).repo_tags == (name,)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert on_disk(store) == {"blobs/sha256": 5, "snapshots": 3, "ingest": 0, "staging": 0}


async def test_a_tag_that_moves_leaves_its_old_image(registry: Registry, store: ImageStore) -> None:
    name = registry.push(image("old"), "plain/moves")
    old = await store.pull(name)
    registry.push(image("new"), "plain/moves")
    new = await store.pull(name)
    assert old.id != new.id
    kept = store.get(old.id)
    assert store.get(name) == new and kept is not None and kept.repo_tags == ()


async def test_everything_is_found_again_after_a_restart(registry: Registry, tmp_path: Path) -> None:
    first = ImageStore(tmp_path / "images")
    found = await first.pull(registry.push(image("again"), "plain/again"))
    with pytest.raises(ImageStoreError, match="in use"):
        ImageStore(tmp_path / "images")
    await first.close()
    second = ImageStore(tmp_path / "images")
    assert second.list() == [found]
    await second.close()


async def test_after_a_crash_of_the_machine_what_was_not_synced_is_forgotten(
    registry: Registry, tmp_path: Path
) -> None:
    store = ImageStore(tmp_path / "images")
    name = registry.push(image("crash"), "plain/crash")
    await store.pull(name)
    await store.close()
    for record in [*(tmp_path / "images/images").iterdir(), *(tmp_path / "images/snapshots").glob("*/layer.json")]:
        fields = json.loads(record.read_text())
        record.write_text(json.dumps({**fields, "boot_id": "another boot"}))
    store = ImageStore(tmp_path / "images")
    assert store.list() == [] and on_disk(store)["snapshots"] == 0
    assert (await store.pull(name)).repo_tags == (name,)
    await store.close()


async def test_the_collector_spares_what_is_in_use(registry: Registry, store: ImageStore) -> None:
    kept = await store.pull(registry.push(image("kept"), "plain/kept"))
    gone = await store.pull(registry.push(image("gone"), "plain/gone"))
    assert await store.remove_unused({kept.id}) == [gone.id]
    assert store.list() == [kept] and all(path.is_dir() for path in kept.layers)
    assert on_disk(store) == {"blobs/sha256": 4, "snapshots": 2, "ingest": 0, "staging": 0}
    await store.remove(kept.repo_tags[0])
    assert on_disk(store) == {"blobs/sha256": 0, "snapshots": 0, "ingest": 0, "staging": 0}


async def test_a_directory_no_entry_describes_is_as_in_the_layer_below(registry: Registry, store: ImageStore) -> None:
    lower = LayerBuilder().directory("data", 0o700, uid=7, gid=8, mtime=1000).build()
    upper = LayerBuilder().file("data/new", "1").file("other/new", "1").build()
    found = await store.pull(registry.push(build_image([lower, upper]), "plain/implied"))
    info = (found.layers[1] / "data").stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime) == (0o700, 7, 8, 1000)
    assert (found.layers[1] / "other").stat().st_mode & 0o7777 == 0o755


async def test_the_example_image_serves_its_host_name(registry: Registry, store: ImageStore) -> None:
    found = await store.pull(registry.push(example_image(), "example/hello", "v1"))
    assert await asyncio.to_thread(page_of, found.layers, store.root / "merged") == "Hello from hello-7c9"


def page_of(layers: list[Path], merged: Path) -> str:
    merged.mkdir()
    options = f"ro,lowerdir={':'.join(str(path) for path in reversed(layers))}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        answer = subprocess.run(
            ["/usr/sbin/chroot", "--userspec=65534:65534", merged, "/www/cgi-bin/index.cgi"],
            env={"HOSTNAME": "hello-7c9", "PATH": "/bin:/usr/bin"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return answer.stdout.strip().splitlines()[-1]
    finally:
        subprocess.run(["umount", merged], check=True)


_PULL = """
import asyncio, sys
from nodeagent.images.store import ImageStore
async def main():
    store = ImageStore(sys.argv[1])
    await store.pull(sys.argv[2], progress=lambda event: print(event.status, flush=True))
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["resolved", "downloading", "unpacking", "done"])
async def test_kill_9_in_the_middle_leaves_a_store_that_works(moment: str, tmp_path: Path) -> None:
    layers = [LayerBuilder().file("big", bytes([n]) * 20_000_000).build() for n in range(3)]
    with Registry(tmp_path / "registry") as registry:
        name = registry.push(build_image(layers), "plain/killed")
        await asyncio.to_thread(pull_until_killed, tmp_path / "images", name, moment)
        store = await reopened(tmp_path / "images")
        assert on_disk(store)["staging"] == 0
        found = await store.pull(name)
        assert [len((path / "big").read_bytes()) for path in found.layers] == [20_000_000] * 3
        assert on_disk(store) == {"blobs/sha256": 5, "snapshots": 3, "ingest": 0, "staging": 0}
        await store.close()


def pull_until_killed(root: Path, name: str, moment: str) -> None:
    command = [sys.executable, "-c", _PULL, root, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        for line in agent.stdout:
            if line.strip() == moment:
                break
        agent.send_signal(signal.SIGKILL)


async def reopened(root: Path) -> ImageStore:
    """The kernel frees a killed process's lock a moment after its exit status."""
    for _ in range(200):
        try:
            return ImageStore(root)
        except ImageStoreError:
            await asyncio.sleep(0.01)
    return ImageStore(root)


def test_the_registry_fixture_speaks_the_protocol(registry: Registry) -> None:
    with urllib.request.urlopen(f"http://{registry.host}/v2/") as answer:
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
