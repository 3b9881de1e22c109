"""From a user as an image or a pod names it to numbers, by the image's own /etc/passwd and /etc/group.

What must stay true: the files are read inside the root only, at most a megabyte, and only if they are regular files; a
number is taken as it stands, in range; an unknown name is an error, never root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nodeagent.runtime.interface import User, UserNotFound
from nodeagent.runtime.spec import HIGHEST_ID
from nodeagent.safepath import Root

_FILE_LIMIT_BYTES = 1 << 20
ReadFile = Callable[[str], bytes]


def read_from_layers(layers: Sequence[Path]) -> ReadFile:
    """Reader of files in an image that is not mounted: the topmost layer that has the path decides.

    Good for /etc/passwd and /etc/group; a whiteout or a link that needs a lower layer reads as an absent file.
    """

    def read(path: str) -> bytes:
        for layer in reversed(layers):
            with Root.at(layer) as root:
                if not root.exists(path):
                    continue
                try:
                    return root.read_bytes(path, limit_bytes=_FILE_LIMIT_BYTES)
                except OSError as error:
                    raise UserNotFound(f"{path} of the image cannot be read: {error.strerror}") from error
        return b""

    return read


def read_from_rootfs(rootfs: Path) -> ReadFile:
    """Reader of files in a mounted root directory."""
    return read_from_layers([rootfs])


def resolve_user(
    read: ReadFile,
    image_user: str = "",
    *,
    run_as_user: int | None = None,
    run_as_group: int | None = None,
    extra_groups: Sequence[int] = (),
    merge_image_groups: bool = True,
) -> User:
    """Numbers for a container: the pod's wishes first, then the image's USER ("name", "uid", "user:group").

    As upstream: without a group the user's primary group of /etc/passwd counts (0 if it has no entry); groups that list
    the user in /etc/group are added unless `merge_image_groups` is off (supplementalGroupsPolicy: Strict).
    Raises UserNotFound.
    """
    wanted, _, wanted_group = image_user.partition(":")
    passwd = list(_entries(read("/etc/passwd"), 4))
    if run_as_user is not None:
        wanted, wanted_group = str(run_as_user), ""
    name, uid, gid = _find_user(passwd, wanted)
    groups = list(_entries(read("/etc/group"), 3))
    if run_as_group is not None:
        gid = _number(str(run_as_group))
    elif wanted_group:
        gid = _find_group(groups, wanted_group)
    more = {gid}
    if merge_image_groups and name:
        more.update(int(g[2]) for g in groups if len(g) > 3 and name in g[3].split(",") and _is_id(g[2]))
    more.update(extra_groups)
    return User(uid, gid, tuple(sorted(more)))


def _find_user(passwd: list[list[str]], wanted: str) -> tuple[str, int, int]:
    """(name or "", uid, gid)."""
    if not wanted:
        wanted = "0"
    is_number = wanted.isascii() and wanted.isdigit()
    for entry in passwd:
        if (entry[0] == wanted or (is_number and entry[2] == wanted)) and _is_id(entry[2]) and _is_id(entry[3]):
            return entry[0], int(entry[2]), int(entry[3])
    if is_number:
        return "", _number(wanted), 0
    raise UserNotFound(f"unable to find user {wanted}: no matching entries in passwd file")


def _find_group(groups: list[list[str]], wanted: str) -> int:
    for entry in groups:
        if entry[0] == wanted and _is_id(entry[2]):
            return int(entry[2])
    if wanted.isascii() and wanted.isdigit():
        return _number(wanted)
    raise UserNotFound(f"unable to find group {wanted}: no matching entries in group file")


def _number(text: str) -> int:
    if not _is_id(text):
        raise UserNotFound(f"user or group id {text} is not in 0-{HIGHEST_ID}")
    return int(text)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= HIGHEST_ID


def _entries(body: bytes, least: int) -> Iterator[list[str]]:
    """Colon separated lines with more than `least` - 1 fields."""
    for line in body.decode("utf-8", "replace").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least and not line.startswith("#"):
            yield fields
