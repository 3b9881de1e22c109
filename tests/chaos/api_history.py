"""A history of the HTTP API under faults, and the checker that says whether any event was lost, repeated or moved.

Writers note what was acknowledged; watchers note every frame and every list they had to make.  What is checked: each
watcher's events rise strictly, fit the state they are told about, and cover every acknowledged write, but for those
that a 410 and the list after it stand for; and each list is the state at its revision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Key = str


@dataclass(frozen=True, slots=True)
class Object:
    """What of an object is compared: its version, its incarnation, and the mark its writer gave it."""

    revision: int
    uid: str
    mark: str


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a watcher got it."""

    type: str
    key: Key
    seen: Object


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as a watcher got it."""

    revision: int
    objects: dict[Key, Object]


@dataclass
class History:
    """What all parties know together."""

    puts: dict[int, tuple[Key, Object]] = field(default_factory=dict)  # acknowledged creates and updates by revision
    deleted: dict[str, Key] = field(default_factory=dict)  # uid of acknowledged deletions
    uncertain: set[Key] = field(default_factory=set)  # had a deletion whose outcome nobody was told
    logs: list[list[Told | Listed]] = field(default_factory=list)  # one per watcher

    def check(self) -> int:
        """How many events the watchers saw.  Raises AssertionError with the first thing that is wrong."""
        deletions = self._deletions()
        states = self._states(deletions)
        for number, log in enumerate(self.logs):
            self._check_watcher(f"watcher {number}", log, deletions, states)
        return sum(isinstance(entry, Told) for log in self.logs for entry in log)

    def _deletions(self) -> dict[str, int]:
        """The revision of every deletion that some watcher was told, by uid.  All were told the same."""
        found: dict[str, int] = {}
        for log in self.logs:
            for entry in log:
                if isinstance(entry, Told) and entry.type == "DELETED":
                    revision = found.setdefault(entry.seen.uid, entry.seen.revision)
                    assert revision == entry.seen.revision, f"{entry.key} was deleted at {revision} and at {entry}"
        return found

    def _states(self, deletions: dict[str, int]) -> dict[Key, list[tuple[int, Object | None]]]:
        """Per key every state that anybody knows of, in order; None: it is not there."""
        known: dict[Key, dict[int, Object | None]] = {}
        for revision, (key, seen) in self.puts.items():
            known.setdefault(key, {})[revision] = seen
        for log in self.logs:
            for entry in log:
                if isinstance(entry, Told):
                    gone = entry.type == "DELETED"
                    told = None if gone else entry.seen
                    before = known.setdefault(entry.key, {}).setdefault(entry.seen.revision, told)
                    assert before == told, f"two stories of {entry.key} at {entry.seen.revision}: {before}, {told}"
        for revision in deletions.values():
            assert revision not in self.puts, f"revision {revision} was given twice"
        return {key: sorted(states.items(), key=lambda one: one[0]) for key, states in known.items()}

    def _check_watcher(
        self,
        who: str,
        log: list[Told | Listed],
        deletions: dict[str, int],
        states: dict[Key, list[tuple[int, Object | None]]],
    ) -> None:
        position, mine = 0, dict[Key, Object]()
        skipped: list[tuple[int, int]] = []  # (after, up to): what a list stands for
        told: dict[int, Told] = {}
        for entry in log:
            if isinstance(entry, Listed):
                assert entry.revision >= position, f"{who}: a list at {entry.revision} after an event at {position}"
                self._check_list(who, entry, states)
                skipped.append((position, entry.revision))
                position, mine = entry.revision, dict(entry.objects)
                continue
            revision = entry.seen.revision
            assert revision > position, f"{who}: {entry} after {position}: repeated or out of order"
            known = mine.get(entry.key)
            expected = "ADDED" if known is None else "MODIFIED"
            assert entry.type in (expected, "DELETED" if known else expected), f"{who}: {entry}, but it knew {known}"
            if entry.type == "DELETED":
                del mine[entry.key]
            else:
                mine[entry.key] = entry.seen
            position, told[revision] = revision, entry
        for revision, (key, seen) in self.puts.items():
            if revision in told:
                assert (told[revision].key, told[revision].seen) == (key, seen), (
                    f"{who}: {told[revision]} is not {seen}"
                )
            else:
                assert _covered(revision, skipped), f"{who}: the acknowledged write {revision} of {key} was never told"
        for uid, key in self.deleted.items():
            at = deletions.get(uid, 0)
            seen_at = at in told and told[at].seen.uid == uid
            assert not at or seen_at or _covered(at, skipped), f"{who}: the deletion of {key} at {at} was never told"
            assert all(known.uid != uid for known in mine.values()), f"{who}: believes that {key} is still there"

    def _check_list(self, who: str, listed: Listed, states: dict[Key, list[tuple[int, Object | None]]]) -> None:
        for key, history in states.items():
            past = [state for state in history if state[0] <= listed.revision]
            if not past:
                continue
            revision, expected = past[-1]
            found = listed.objects.get(key)
            if found is None:
                told = expected is None or expected.uid in self.deleted or key in self.uncertain
                assert told, f"{who}: a list at {listed.revision} lacks {key}, written at {revision}"
            else:
                assert found.revision >= revision, f"{who}: a list at {listed.revision} has an old {key}: {found}"
                assert found.revision > revision or found == expected, f"{who}: {found} is not {expected}"


def _covered(revision: int, skipped: list[tuple[int, int]]) -> bool:
    return any(after < revision <= until for after, until in skipped)
