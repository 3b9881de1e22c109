"""An image that one pod's Secret has brought is not open to a pod without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeagent.images.access import ANYBODY, CredentialSeal, allowed, remembered
from nodeagent.images.credentials import Credential
from nodeagent.images.errors import ImagePullError
from nodeagent.images.layout import LayerBuilder, build_image
from nodeagent.images.store import ImageStore
from tests.nodeagent.registry import PASSWORD, USER, Registry


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("private"), auth="basic") as running:
        yield running


def pushed(registry: Registry, text: str) -> str:
    return registry.push(build_image([LayerBuilder().file("text", text).build()]), f"access/{text}", "v1")


@pytest.mark.parametrize(
    ("policy", "marks", "offered", "expected"),
    [
        ("NeverVerifyPreloadedImages", None, (), True),
        ("NeverVerifyPreloadedImages", ("a",), (), False),
        ("NeverVerifyPreloadedImages", ("a",), ("b", "a"), True),
        ("NeverVerifyPreloadedImages", ("a", ANYBODY), (), True),
        ("AlwaysVerify", None, ("a",), False),
        ("AlwaysVerify", ("a",), ("a",), True),
        ("NeverVerify", ("a",), (), True),
    ],
)
def test_who_may_use_an_image_that_is_here(
    policy: str, marks: tuple[str, ...] | None, offered: tuple[str, ...], expected: bool
) -> None:
    assert allowed(policy, marks, offered) is expected  # type: ignore[arg-type]


def test_marks_tell_nothing_and_do_not_grow_without_end(tmp_path: Path) -> None:
    seal = CredentialSeal(tmp_path)
    mark = seal.of(Credential("r", "name", "swordfish"))
    assert (
        mark
        == CredentialSeal(tmp_path).of(Credential("other", "name", "swordfish"))
        != seal.of(Credential("r", "name"))
    )
    assert "swordfish" not in mark and (tmp_path / "seal").stat().st_mode & 0o777 == 0o600
    marks: tuple[str, ...] | None = ()
    for number in range(300):
        marks = remembered(marks, str(number))
    assert marks is not None and len(marks) == 100 and marks[-1] == "299"
    assert remembered(None, "x") is None and remembered(("x",), "x") == ("x",)


async def test_only_a_credential_that_opened_the_registry_opens_the_image(private: Registry, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    name = pushed(private, "secret")
    right = Credential(private.host, USER, PASSWORD)
    wrong = Credential(private.host, USER, "guess")
    elsewhere = Credential("registry.example", USER, PASSWORD)
    found = await store.pull(name, [wrong, right])
    assert store.accessible(found.id, name, [wrong, right])
    for refused in ([], [wrong], [elsewhere]):
        assert not store.accessible(found.id, name, refused)
    assert not store.open_to_all(found.id)
    with pytest.raises(ImagePullError):  # what such a pod has to do instead is refused as if nothing were here
        await store.pull(name)
    await store.close()
    again = ImageStore(tmp_path / "images")
    assert again.accessible(found.id, name, [right]) and not again.accessible(found.id, name, [])
    assert PASSWORD not in "".join(file.read_text() for file in (tmp_path / "images/images").iterdir())
    await again.close()


async def test_a_public_image_and_one_from_before_are_open_to_all(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    with Registry(tmp_path / "public") as public:
        found = await store.pull(pushed(public, "public"))
    assert store.open_to_all(found.id) and store.accessible(found.id, found.repo_tags[0], [])
    await store.close()
    record = next((tmp_path / "images/images").iterdir())
    fields = json.loads(record.read_text())
    del fields["pulled_with"]
    record.write_text(json.dumps(fields))
    again = ImageStore(tmp_path / "images")
    assert again.open_to_all(found.id) and not again.open_to_all(found.id, "AlwaysVerify")
    assert again.mount_paths(found.id) == tuple(found.layers) and again.mount_paths("absent") is None
    await again.close()


async def test_no_more_pulls_run_at_once_than_allowed(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images", parallel_pulls=2)
    running, most = 0, 0
    original = store._pull

    async def counted(*arguments: object) -> object:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0.01)
            return await original(*arguments)  # type: ignore[arg-type]
        finally:
            running -= 1

    store._pull = counted  # type: ignore[method-assign, assignment]
    with Registry(tmp_path / "public") as public:
        names = [pushed(public, f"image{n}") for n in range(6)]
        await asyncio.gather(*(store.pull(name) for name in names))
    assert most == 2 and len(store.list()) == 6
    await store.close()
