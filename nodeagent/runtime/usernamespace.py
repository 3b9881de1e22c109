"""User namespaces of pods with `hostUsers: false`: a range of 65,536 ids of the node each, pinned like the others.

A namespace of the pod must belong to its user namespace, or root inside could not use it: so the user, network, IPC and
UTS namespaces are made together by one short-lived process, since a process with threads may not enter a user
namespace.

What must stay true: no two pods share an id; range 0 is the node's own and is never given; a range is taken for as long
as the pod's sandbox is on disk.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nodeagent.runtime import syscalls
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.process import run
from nodeagent.runtime.sysctls import file_of

IDS = 65_536
_LAST_RANGE = (1 << 31) // IDS - 1  # ids above 2^31 have been read as negative
_START_SECONDS = 20.0
_FLAGS = {"net": "--net", "ipc": "--ipc", "uts": "--uts"}


def choose_base(taken: Collection[int], after: int = 0) -> int:
    """The first free range behind `after`, round and round: a range that was just freed comes back late.  Pure.

    Raises RuntimeFailure when none is left.
    """
    start = after // IDS
    for step in range(1, _LAST_RANGE + 1):
        base = ((start + step - 1) % _LAST_RANGE + 1) * IDS
        if base not in taken:
            return base
    raise RuntimeFailure("no free range of user ids is left on this node")


async def pin(directory: Path, kinds: Sequence[str], base: int) -> None:
    """Make a user namespace that maps 0..65535 to `base`.. and namespaces of `kinds` (net, ipc, uts) that belong to it,
    and bind each of them, and `user`, to a file in `directory`.  Raises RuntimeFailure.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        raise RuntimeFailure("user namespaces need the program unshare: apt-get install util-linux")
    words = [unshare, "--user", *(_FLAGS[kind] for kind in kinds), "cat"]
    child = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/"
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    try:
        child.stdin.write(b"x")
        async with asyncio.timeout(_START_SECONDS):
            if await child.stdout.read(1) != b"x":  # `cat` runs, so the namespaces are there
                cause = (await child.stderr.read(500)).decode("utf-8", "replace").strip()
                raise RuntimeFailure(f"this node cannot make user namespaces: {cause}")
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child.pid}/{name}").write_text(f"0 {base} {IDS}\n")
        for kind in (*kinds, "user"):
            target = directory / kind
            target.touch(mode=0o600)
            syscalls.mount(f"/proc/{child.pid}/ns/{kind}", str(target), "", syscalls.MS_BIND)
    except (OSError, TimeoutError) as error:
        raise RuntimeFailure(f"this node cannot make user namespaces: {error}") from error
    finally:
        child.stdin.close()
        await child.wait()


async def write_ipc_sysctls(directory: Path, settings: Mapping[str, str]) -> None:
    """Settings of the pinned IPC namespace: only root of its user namespace may write them.  Raises RuntimeFailure."""
    for name, value in settings.items():
        enter = ["nsenter", f"--user={directory / 'user'}", f"--ipc={directory / 'ipc'}"]
        done = await run([*enter, "sh", "-c", 'printf %s "$1" > "$2"', "sh", value, file_of(name)], timeout_seconds=20)
        if done.exit_code != 0:
            raise RuntimeFailure(f"sysctl {name}: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
