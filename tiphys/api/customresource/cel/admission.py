"""Functions of admission's expressions: `authorizer`, what may somebody do?, and `jsonpatch.escapeKey`.

A question is built as a map (`authorizer.group("").resource("pods").namespace("a")`) and asked by `check`.  The answer
is somewhere else and may take time, so an expression runs against the answers there are: a question without one is
noted and the run ends in an error; whoever runs it gets the answer and runs it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped,import-not-found,unused-ignore]

T = cel.Type
_asked: list[Answers] = []


class Answers:
    """`known`: question as JSON -> (allowed, reason); `missing`: what a run would have liked to know."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[bool, str]] = {}
        self.missing: list[str] = []

    @contextmanager
    def used(self) -> Iterator[None]:
        """Expressions that run inside see these answers."""
        _asked.append(self)
        try:
            yield
        finally:
            _asked.pop()


def _with(name: str) -> Any:
    return lambda value, text: {**value, name: text}


def _account(value: Any, namespace: str, name: str) -> Any:
    return {**value, "serviceAccount": [namespace, name]}


def _check(value: Any, verb: str) -> Any:
    question = json.dumps({**value, "verb": verb}, sort_keys=True)
    answers = _asked[-1]
    answer = answers.known.get(question)
    if answer is None:
        answers.missing.append(question)
        raise ValueError("the question has no answer yet")
    return {"allowed": answer[0], "reason": answer[1]}


def _escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def extension() -> Any:
    def member(name: str, result: Any, parameters: list[Any], body: Any) -> Any:
        overload = cel.Overload(f"tiphys_authorizer_{name}", result, [T.DYN, *parameters], True, body)
        return cel.FunctionDecl(name, [overload])

    escape = cel.Overload("tiphys_jsonpatch_escape_key", T.STRING, [T.STRING], False, _escape_key)
    texts = ("path", "group", "resource", "subresource", "namespace", "name")
    return cel.CelExtension(
        "admission",
        [
            cel.FunctionDecl("jsonpatch.escapeKey", [escape]),
            *(member(name, T.DYN, [T.STRING], _with(name)) for name in texts),
            member("serviceAccount", T.DYN, [T.STRING, T.STRING], _account),
            member("check", T.DYN, [T.STRING], _check),
            member("allowed", T.BOOL, [], lambda value: bool(value["allowed"])),
            member("reason", T.STRING, [], lambda value: str(value["reason"])),
            member("errored", T.BOOL, [], lambda value: False),
            member("error", T.STRING, [], lambda value: ""),
        ],
    )
