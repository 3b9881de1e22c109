"""The log inside the SQLite file: its schema and every statement that reads or writes it.

`log` has one row per write, its revision is the row's number; `live` names the newest row of each key that exists.
A row is complete or absent: its checksum covers every column, and a row that does not match is reported, never handed
out.  Functions take the connection of the thread that calls them and run inside the caller's transaction.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import apsw

from apiserver.storage.store import Compacted, Damaged, Entry, Event, FutureRevision, Page, StoreError, prefix_end

APPLICATION_ID = 0x74697068  # "tiph": `file` and our own open() tell the store from any other SQLite file
SCHEMA_VERSION = 1
FIRST_REVISION = 1
END_OF_KEYS = "\U0010ffff"

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    created INTEGER NOT NULL,   -- revision of the write that created the key; 0 in a deletion
    previous INTEGER NOT NULL,  -- the row this one replaced; 0 in a creation
    deleted INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX log_by_key ON log (key, revision);
CREATE TABLE live (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE progress (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO progress VALUES ('compacted', 0), ('swept', 0);
"""

Connection = Any  # apsw.Connection: the package has no types we check against


def prepare(connection: Connection) -> None:
    """Make the tables in an empty file.  Raises StoreError on a file that is not ours or of another version."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == 0 and not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        with connection:
            connection.execute(SCHEMA)
    elif found != APPLICATION_ID:
        raise StoreError(f"{connection.filename} is not a Tiphys store")
    elif version != SCHEMA_VERSION:
        raise StoreError(f"{connection.filename} has schema {version}, this program reads schema {SCHEMA_VERSION}")


def checksum(revision: int, key: str, value: bytes, created: int, previous: int, deleted: int) -> int:
    return zlib.crc32(value, zlib.crc32(f"{revision}/{created}/{previous}/{deleted}{key}".encode()))


def newest(connection: Connection) -> int:
    """The newest revision.  Sweeping may have removed the newest row (a deletion), never past `compacted`."""
    row = connection.execute("SELECT max(revision) FROM log").fetchone()
    return max(int(row[0] or 0), compacted(connection), FIRST_REVISION)


def compacted(connection: Connection) -> int:
    return _progress(connection, "compacted")


def _progress(connection: Connection, name: str) -> int:
    row = connection.execute("SELECT revision FROM progress WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise StoreError(f"{connection.filename} is damaged: it does not say how far it is {name}")
    return int(row[0])


def check_revision(connection: Connection, revision: int) -> int:
    """The newest revision, after making sure that `revision` (0: now) can be read."""
    current = newest(connection)
    if revision > current:
        raise FutureRevision(revision, current)
    if 0 < revision < (oldest := compacted(connection)):
        raise Compacted(revision, oldest)
    return current


def find(connection: Connection, key: str, revision: int = 0) -> Entry | None:
    """The entry of `key` now or at `revision`.  Raises Damaged."""
    if revision:
        found = connection.execute(
            "SELECT revision FROM log WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1", (key, revision)
        ).fetchone()
    else:
        found = connection.execute("SELECT revision FROM live WHERE key = ?", (key,)).fetchone()
    if found is None:
        return None
    try:
        row = connection.execute(
            "SELECT value, created, previous, deleted, checksum FROM log WHERE revision = ?", found
        ).fetchone()
    except apsw.CorruptError:
        row = None
    if row is None:
        raise Damaged(key, found[0])
    return _entry(key, found[0], *row)


def find_revision(connection: Connection, key: str) -> int:
    """The revision of `key`'s newest write; 0 where the key does not exist.  Reads no value, so no damage stops it."""
    found = connection.execute("SELECT revision FROM live WHERE key = ?", (key,)).fetchone()
    return int(found[0]) if found else 0


NOW = """SELECT live.key, live.revision, value, created, previous, deleted, checksum
    FROM live LEFT JOIN log USING (revision)
    WHERE live.key >= :start AND live.key < :end ORDER BY live.key LIMIT :limit"""
COUNT_NOW = "SELECT count(*) FROM live WHERE key > :start AND key < :end"
THEN = """SELECT latest.key, latest.revision, value, created, previous, deleted, checksum
    FROM (SELECT key, max(revision) AS revision FROM log
          WHERE key >= :start AND key < :end AND revision <= :revision GROUP BY key) AS latest
    LEFT JOIN log USING (revision) WHERE deleted IS NOT 1 ORDER BY latest.key LIMIT :limit"""
KEYS_NOW = "SELECT key, revision FROM live WHERE key >= :start AND key < :end ORDER BY key LIMIT :limit"
KEYS_THEN = """SELECT key, max(revision) FROM log
    WHERE key >= :start AND key < :end AND revision <= :revision GROUP BY key ORDER BY key"""
COUNT_THEN = """SELECT count(*)
    FROM (SELECT key, max(revision) AS revision FROM log
          WHERE key > :start AND key < :end AND revision <= :revision GROUP BY key) AS latest
    LEFT JOIN log USING (revision) WHERE deleted IS NOT 1"""


def scan(connection: Connection, prefix: str, start: str, limit: int, revision: int) -> Page:
    """`Store.range` on this connection."""
    current = check_revision(connection, revision)
    past = 0 < revision < current
    bindings: dict[str, str | int] = {
        "start": max(prefix, start),
        "end": prefix_end(prefix) or END_OF_KEYS,
        "limit": limit or -1,
        "revision": revision,
    }
    try:
        rows = connection.execute(THEN if past else NOW, bindings).fetchall()
    except apsw.CorruptError:
        rows = _rows_one_by_one(connection, KEYS_THEN if past else KEYS_NOW, bindings)
    entries: list[Entry] = []
    damaged: list[str] = []
    for key, at, *rest in rows:
        try:
            if rest[0] is None:
                raise Damaged(key, at)
            entry = _entry(key, at, *rest)
        except Damaged:
            damaged.append(key)
        else:
            if entry is not None:
                entries.append(entry)
    remaining = 0
    if limit and len(rows) == limit:
        bindings["start"] = rows[-1][0]
        remaining = connection.execute(COUNT_THEN if past else COUNT_NOW, bindings).fetchone()[0]
    return Page(entries, revision or current, remaining, damaged)


def changes(connection: Connection, after: int, limit: int) -> Sequence[Event]:
    """The next writes after revision `after`, at most `limit`.

    Raises Compacted where they are forgotten or damaged: whoever asked has to read the state anew."""
    oldest = compacted(connection)
    if after < oldest:
        raise Compacted(after, oldest)
    rows = connection.execute(
        "SELECT revision, key, value, created, previous, deleted, checksum FROM log"
        " WHERE revision > ? ORDER BY revision LIMIT ?",
        (after, limit),
    ).fetchall()
    events = []
    for position, (revision, key, value, created, previous, deleted, total) in enumerate(rows, start=after + 1):
        if revision != position or checksum(revision, key, value, created, previous, deleted) != total:
            raise Compacted(after, position)
        before = replaced(connection, key, previous)
        events.append(Event(Entry(key, value, revision, created), before, bool(deleted)))
    return events


def _rows_one_by_one(connection: Connection, keys: str, bindings: dict[str, str | int]) -> list[tuple[Any, ...]]:
    """The rows of `scan` where a page of the file is broken: what cannot be read comes as a row of nothing."""
    rows: list[tuple[Any, ...]] = []
    for key, revision in connection.execute(keys, bindings).fetchall():
        try:
            row = connection.execute(
                "SELECT value, created, previous, deleted, checksum FROM log WHERE revision = ?", (revision,)
            ).fetchone()
        except apsw.CorruptError:
            row = None
        if row is None or not row[3]:
            rows.append((key, revision, *(row or (None, 0, 0, 0, 0))))
        if len(rows) == bindings["limit"]:
            break
    return rows


def replaced(connection: Connection, key: str, previous: int) -> Entry | None:
    """The entry at row `previous` of `key`; None where there is none to show."""
    if not previous:
        return None
    try:
        row = connection.execute(
            "SELECT value, created, previous, deleted, checksum FROM log WHERE revision = ?", (previous,)
        ).fetchone()
        return _entry(key, previous, *row) if row else None
    except (Damaged, apsw.CorruptError):
        return None


def append(connection: Connection, event: Event, previous: int) -> None:
    """Add one write, inside the caller's transaction."""
    entry, deleted = event.entry, int(event.deleted)
    total = checksum(entry.revision, entry.key, entry.value, entry.created, previous, deleted)
    connection.execute(
        "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)",
        (entry.revision, entry.key, entry.value, entry.created, previous, deleted, total),
    )
    if event.deleted:
        connection.execute("DELETE FROM live WHERE key = ?", (entry.key,))
    else:
        connection.execute("INSERT OR REPLACE INTO live VALUES (?, ?)", (entry.key, entry.revision))


def mark_compacted(connection: Connection, revision: int) -> None:
    check_revision(connection, revision)
    if revision <= (oldest := compacted(connection)):
        raise Compacted(revision, oldest)
    connection.execute("UPDATE progress SET revision = ? WHERE name = 'compacted'", (revision,))


def sweep(connection: Connection, limit: int) -> bool:
    """Remove rows that compaction made unreadable, looking at `limit` writes; True when there is more to do.

    Each write up to the compaction makes its predecessor unreadable, and a deletion itself too."""
    swept = _progress(connection, "swept")
    end = min(swept + limit, oldest := compacted(connection))
    if swept >= oldest:
        return False
    span = (swept, end)
    connection.execute(
        "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ?)", span
    )
    connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND deleted", span)
    connection.execute("UPDATE progress SET revision = ? WHERE name = 'swept'", (end,))
    return bool(end < oldest)


def _entry(
    key: str, revision: int, value: bytes, created: int, previous: int, deleted: int, total: int
) -> Entry | None:
    if checksum(revision, key, value, created, previous, deleted) != total:
        raise Damaged(key, revision)
    return None if deleted else Entry(key, value, revision, created)


def connect(path: str, *, read_only: bool, vfs: str | None = None) -> Connection:
    """A connection with the settings durability rests on."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection: Connection = apsw.Connection(path, flags=flags, vfs=vfs)
    connection.set_busy_timeout(5000)
    if read_only:
        return connection
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # a full disk gets its pages back after a compaction
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"{path}: the file system does not support write-ahead logging (journal mode {mode})")
    connection.execute("PRAGMA synchronous = FULL")  # every commit reaches the disk before it returns
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # the writer checkpoints when it is idle
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection
