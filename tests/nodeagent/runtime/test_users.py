"""From names to numbers by the image's own files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.interface import User, UserNotFound
from nodeagent.runtime.users import read_from_layers, resolve_user

PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/app:/bin/sh\nbroken:x\nhuge:x:4294967295:0::/:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:50:app,other\napp:x:1001:\naudio:x:29:app\n"


def read(path: str) -> bytes:
    return {"/etc/passwd": PASSWD, "/etc/group": GROUP}[path]


@pytest.mark.parametrize(
    ("image_user", "wishes", "expected"),
    [
        ("", {}, User(0, 0, (0,))),
        ("app", {}, User(1000, 1001, (29, 50, 1001))),
        ("1000", {}, User(1000, 1001, (29, 50, 1001))),
        ("app:staff", {}, User(1000, 50, (29, 50))),
        ("app:77", {}, User(1000, 77, (29, 50, 77))),
        ("4711", {}, User(4711, 0, (0,))),
        ("4711:4712", {}, User(4711, 4712, (4712,))),
        ("app", {"run_as_user": 0}, User(0, 0, (0,))),
        ("app:staff", {"run_as_user": 1000}, User(1000, 1001, (29, 50, 1001))),
        ("app", {"run_as_group": 5}, User(1000, 5, (5, 29, 50))),
        ("app", {"extra_groups": [9, 8]}, User(1000, 1001, (8, 9, 29, 50, 1001))),
        ("app", {"extra_groups": [9], "merge_image_groups": False}, User(1000, 1001, (9, 1001))),
    ],
)
def test_users_are_resolved_as_upstream(image_user: str, wishes: dict[str, Any], expected: User) -> None:
    assert resolve_user(read, image_user, **wishes) == expected


@pytest.mark.parametrize(
    "image_user", ["nobody", "huge", "broken", "4294967295", "2147483648", "-1", "1e3", "app:nope"]
)
def test_an_unknown_or_impossible_user_is_an_error_and_never_root(image_user: str) -> None:
    with pytest.raises(UserNotFound):
        resolve_user(read, image_user)


def test_the_topmost_layer_decides_and_hostile_files_are_not_read(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for layer, uid in ((lower, 1), (upper, 2)):
        (layer / "etc").mkdir(parents=True)
        (layer / "etc/passwd").write_text(f"app:x:{uid}:{uid}::/:/bin/sh\n")
    reader = read_from_layers([lower, upper])
    assert resolve_user(reader, "app").uid == 2
    (upper / "etc/passwd").unlink()
    assert resolve_user(reader, "app").uid == 1
    os.mkfifo(upper / "etc/passwd")
    with pytest.raises(UserNotFound):
        resolve_user(reader, "app")
    (upper / "etc/passwd").unlink()
    (tmp_path / "secret").write_text("app:x:3:3::/:/bin/sh\n")
    (upper / "etc/passwd").symlink_to("../../secret")
    with pytest.raises(UserNotFound):
        resolve_user(reader, "app")
    (upper / "etc/passwd").unlink()
    (upper / "etc/passwd").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(UserNotFound):
        resolve_user(reader, "app")
