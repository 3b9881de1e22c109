"""The victim of test_store_kill.py: owns a store, writes as fast as it can, and tells every acknowledgement.

For each line on stdin a fresh process is forked (imports done, nothing open) and runs until it is killed; so a kill
costs milliseconds.  On stdout: "started PID", "ack KEY REVISION DIGEST" the moment a write is acknowledged ("-": it was
a deletion), and "ended" once the process is gone, after everything it managed to say.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from pathlib import Path

from apiserver.storage import sqlite_writer
from apiserver.storage.etcd import EtcdStore, EtcdTls
from apiserver.storage.sqlite import SqliteStore
from apiserver.storage.store import Compacted, Conflict, Store, StoreError

PREFIX = "/registry/core/victims/"
WRITERS = 6
KEYS_PER_WRITER = 4


def value_of(key: str, number: int, size: int) -> bytes:
    """A value that cannot be half another one without showing it: its own digest is in front."""
    body = f"{key} {number} ".encode() * (1 + size // 40)
    return hashlib.sha256(body).hexdigest().encode() + b" " + body


def is_whole(value: bytes) -> bool:
    digest, _, body = value.partition(b" ")
    return hashlib.sha256(body).hexdigest().encode() == digest


def digest_of(value: bytes) -> str:
    return value[:64].decode()


def say(line: str) -> None:
    os.write(1, (line + "\n").encode())


async def write_for_ever(store: Store, writer: int) -> None:
    keys = [f"{PREFIX}{writer}/{number}" for number in range(KEYS_PER_WRITER)]
    while True:
        key = random.choice(keys)
        try:
            entry, _ = await store.get(key)
            value = value_of(key, random.randrange(1 << 30), random.choice((10, 500, 2000, 20_000)))
            if entry is None:
                say(f"ack {key} {await store.create(key, value)} {digest_of(value)}")
            elif random.random() < 0.2:
                say(f"ack {key} {await store.delete(key, entry.revision)} -")
            else:
                say(f"ack {key} {await store.update(key, value, entry.revision)} {digest_of(value)}")
        except Conflict:
            pass  # etcd: a write whose answer was lost had happened
        except StoreError:
            await asyncio.sleep(0.05)  # etcd is down


async def compact_for_ever(store: Store, before: int) -> None:
    """Compactions and their sweeps are under way when the kill comes, but stay behind the history the test looks at."""
    for revision in range(max(2, before - 2000), max(2, before - 1900), 5):
        try:
            await store.compact(revision)
        except (Compacted, StoreError):
            pass
        await asyncio.sleep(0.01)


async def own(kind: str, place: str, pki: str) -> None:
    store: Store
    if kind == "sqlite":
        sqlite_writer.CHECKPOINT_PAGES = 30  # a kill shall often hit a checkpoint
        store = SqliteStore(Path(place), reserve_bytes=1 << 20)
    else:
        tls = EtcdTls(Path(pki) / "ca.crt", Path(pki) / "client.crt", Path(pki) / "client.key")
        store = EtcdStore([place], tls)
    compacting = compact_for_ever(store, await store.revision())
    await asyncio.gather(compacting, *(write_for_ever(store, writer) for writer in range(WRITERS)))


def main(kind: str, place: str, pki: str = "") -> None:
    say("ready")
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(own(kind, place, pki))
            except BaseException as error:
                if not isinstance(error, BrokenPipeError):
                    say(f"failed {error!r}")
            os._exit(1)
        say(f"started {pid}")
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
