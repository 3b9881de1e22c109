"""A mutation fuzzer: valid inputs bent at random, one parser at a time, until the time is up.

The property is always the same: the parser returns, or raises an error of its documented class (a StatusError below
500, or one of upstream's own 500s, which have no reason), and does so within LIMIT_SECONDS of processor time.  A
failure prints the seed, the round and the input; `TIPHYS_FUZZ_SEED` chooses a run.

`TIPHYS_FUZZ_SECONDS` is the time of one parser: what bends its inputs in several ways shares it (`PARSERS`).
`TIPHYS_FUZZ_PART=1/2` takes every second parser, so that two processes share the work.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tiphys.api.status import StatusError

SECONDS = float(os.environ.get("TIPHYS_FUZZ_SECONDS", "3"))
SEED = int(os.environ.get("TIPHYS_FUZZ_SEED", "1"))  # the same inputs every time, unless `make fuzz` draws another
LIMIT_SECONDS = 0.5
LEAST_ROUNDS = 100  # however slow the machine is
MOST_ROUNDS_UNHEARD = 20_000  # without an accepted input, before that is a failure
DATA = Path(__file__).resolve().parents[1] / "data"
PARSERS: dict[str, tuple[str, ...]] = {
    "json": ("test_fuzz_json",),
    "yaml": ("test_fuzz_yaml",),
    "protobuf": ("test_fuzz_protobuf",),
    "patches": ("test_fuzz_patch", "test_fuzz_apply"),
    "selectors": ("test_fuzz_selectors",),
    "quantities": ("test_fuzz_scalars",),
    "tokens": ("test_fuzz_tokens",),
    "objects": ("test_fuzz_kinds", "test_fuzz_requests"),
    "DNS messages": ("test_fuzz_dns",),
}
"""Parser -> the modules that share its time."""
T = TypeVar("T")
Make = Callable[[random.Random], T]


def fuzz(
    parser: Callable[[T], object],
    make: Make[T],
    *,
    allowed: type[Exception] | tuple[type[Exception], ...] = (),
    known: Sequence[T] = (),
) -> None:
    """Feed `known` inputs, then made ones, until this call's share of its parser's time is over.

    Raises AssertionError with the input that broke the parser."""
    source = random.Random(SEED)
    deadline = time.monotonic() + share_seconds(sys._getframe(1).f_globals["__name__"].rpartition(".")[2])
    returned = rounds = 0
    known_left = list(known)
    while (
        known_left
        or time.monotonic() < deadline
        or rounds < LEAST_ROUNDS
        or (not returned and rounds < MOST_ROUNDS_UNHEARD)
    ):
        rounds += 1
        given = known_left.pop() if known_left else make(source)
        returned += _try(parser, given, allowed, rounds)
    print(f"seed {SEED}: {rounds} inputs, {returned} accepted")
    assert returned, "no input at all was accepted: the fuzzer only sees the front door"


def parser_of(module: str) -> str:
    """Raises StopIteration for a module that PARSERS does not name."""
    return next(name for name, modules in PARSERS.items() if module in modules)


def share_seconds(module: str) -> float:
    """The time of one `fuzz` call in that module."""
    calls = 0
    for one in PARSERS[parser_of(module)]:
        calls += len(re.findall(r"^ +fuzz\(", Path(__file__).with_name(f"{one}.py").read_text(), re.MULTILINE))
    return SECONDS / calls


def _try(parser: Callable[[T], object], given: T, allowed: Any, number: int) -> bool:
    kept = copy.deepcopy(given)
    problem, returned, spent = _once(parser, given, allowed)
    for _ in range(2):  # a collection of a test process's whole heap is not the parser's time: the best of three counts
        if problem or spent <= LIMIT_SECONDS:
            break
        problem, returned, again = _once(parser, copy.deepcopy(kept), allowed)
        spent = min(spent, again)
    if not problem and spent > LIMIT_SECONDS:
        problem = f"{spent:.2f} s of processor time"
    assert not problem, f"seed {SEED}, input {number}: {_short(kept)}\n{problem}"
    return returned


def _once(parser: Callable[[T], object], given: T, allowed: Any) -> tuple[str, bool, float]:
    """What is wrong ("" for nothing), whether the parser returned, and its seconds of processor time."""
    problem, returned = "", False
    gc.disable()
    started = time.thread_time()
    try:
        parser(given)
        returned = True
    except StatusError as error:
        if error.code >= 500 and error.reason:
            problem = f"a {error.code}: {error}"
    except allowed:
        pass
    except Exception:
        problem = traceback.format_exc(limit=-4)
    finally:
        spent = time.thread_time() - started
        gc.enable()
    return problem, returned, spent


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 4000 else f"{text[:2000]} ... {text[-1000:]} ({len(text)} characters)"


# --- bytes and texts ------------------------------------------------------------------------------------------------

PIECES: tuple[str, ...] = (
    "", "0", "-1", "1e999", "1e-999", "9" * 30, "9" * 5000, "0x" + "f" * 300, "NaN", "Infinity", "null", "true", "\x00",
    "\ufeff", "\u2028", "\ud7ff", "\U0001f980", "\u0660", "\u00b2", "é", "'", '"', "\\", "\\u0000", "\\ud800", "/",
    "//", "../",
    "%", "%2f", "%00", "~", "~0", "~1", "*", "&a", "*a", "<<", ":", ": ", "- ", "[", "]", "{", "}", ",", "(", ")", "!",
    "=", "==", "!=", "\n", "\r\n", "\t", " ", "#", "---\n", "...", "|", ">", "?", ";", "a" * 300, "🦀" * 40, "$patch",
    "2026-13-99T99:99:99Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "[" * 300, "{" * 300, "(" * 300,
)  # fmt: skip


def mutated_text(corpus: Sequence[str], pieces: Sequence[str] = PIECES) -> Make[str]:
    """Texts of the corpus, cut, joined, repeated and filled with `pieces`."""

    def make(source: random.Random) -> str:
        text = source.choice(corpus)
        for _ in range(source.choice((0, 1, 1, 2, 3, 8))):
            at, to = sorted((source.randint(0, len(text)), source.randint(0, len(text))))
            to = min(to, at + source.choice((0, 1, 3, 40)))
            match source.randrange(6):
                case 0:
                    text = text[:at] + source.choice(pieces) + text[to:]
                case 1:
                    text = text[:at] + text[to:]
                case 2:
                    text = text[:to] + text[at:to] * source.choice((1, 2, 50)) + text[to:]
                case 3:
                    text = text[:at] + source.choice(corpus)[at:]
                case 4:
                    text = text[:at] + chr(source.choice((source.randrange(128), source.randrange(0xD800)))) + text[to:]
                case _:
                    text = text[:at] + source.choice(pieces) * source.choice((1, 2, 30)) + text[at:]
        return text

    return make


def mutated_bytes(corpus: Sequence[bytes], pieces: Sequence[str] = PIECES) -> Make[bytes]:
    """The same with bytes that need not be UTF-8."""
    texts = mutated_text([one.decode("latin-1") for one in corpus], [one.encode().decode("latin-1") for one in pieces])

    def make(source: random.Random) -> bytes:
        body = bytearray(texts(source).encode("latin-1", "ignore"))
        for _ in range(source.choice((0, 0, 1, 4))):
            if body:
                body[source.randrange(len(body))] = source.randrange(256)
        return bytes(body)

    return make


# --- JSON values ----------------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**64 - 1, 1.5, -0.0, 1e300, 5e-324, "", "a",
    "0", "-1", "1e999999", "1E400Ki", "9" * 5000, "10Gi", "50%", "é", "\x00", "\u2028", "🦀", "a/b", "../x", "A" * 300,
    "2026-01-02T03:04:05Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "aGk=", "=", "127.0.0.1", "::1",
    "10.0.0.0/8", [], {}, [None], [[]], [{}], {"a": None}, {"": ""}, {"a": {}}, {"name": "x"}, [1, "a", None], "TCP",
    "Always", ["a", "a"], {"matchLabels": {"a": "b"}}, {"$patch": "delete"}, {"$patch": "replace"}, {"$retainKeys": 1},
)  # fmt: skip


def mutated_value(corpus: Sequence[Any], values: Sequence[Any] = VALUES, names: Sequence[str] = ()) -> Make[Any]:
    """JSON values of the corpus with nodes replaced, removed, repeated, renamed, swapped and wrapped."""

    def make(source: random.Random) -> Any:
        box = [copy.deepcopy(source.choice(corpus))]
        for _ in range(source.choice((0, 1, 1, 2, 3, 6))):
            parent, key = _place(box, source)
            match source.randrange(7):
                case 0 | 1:
                    parent[key] = copy.deepcopy(source.choice(values))
                case 2 if parent is not box:
                    del parent[key]
                case 3 if isinstance(parent, list) and parent is not box:
                    parent.insert(source.randint(0, len(parent)), copy.deepcopy(parent[key]))
                case 4:
                    other_parent, other = _place(box, source)
                    if other_parent is not box and parent is not box:
                        parent[key] = copy.deepcopy(other_parent[other])
                case 5 if isinstance(parent, dict):
                    parent[source.choice(names or [str(one) for one in parent])] = copy.deepcopy(source.choice(values))
                case _:
                    parent[key] = [parent[key]] if source.random() < 0.5 else {"a": parent[key]}
        return box[0]

    return make


def _place(box: list[Any], source: random.Random) -> tuple[Any, Any]:
    """A container and one key in it, found by walking down at random."""
    parent: Any = box
    key: Any = 0
    while True:
        node = parent[key]
        if not isinstance(node, dict | list) or not node or source.random() < 0.15:
            return parent, key
        parent, key = node, source.choice(list(node) if isinstance(node, dict) else range(len(node)))


# --- the corpus -----------------------------------------------------------------------------------------------------


def golden_objects() -> list[dict[str, Any]]:
    """Objects that a real server has taken or given: bodies and answers of the golden files."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((DATA / "golden").glob("*.jsonl")):
        for line in path.open():
            _collect(json.loads(line), found)
    return list(found.values())


def _collect(value: Any, found: dict[str, dict[str, Any]]) -> None:
    if isinstance(value, dict):
        if (
            isinstance(value.get("kind"), str)
            and isinstance(value.get("apiVersion"), str)
            and value["kind"] != "Status"
        ):
            found[json.dumps(value, sort_keys=True)] = value
        for child in value.values():
            _collect(child, found)
    elif isinstance(value, list):
        for child in value:
            _collect(child, found)
