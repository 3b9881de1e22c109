"""What stands in a request line and its headers: paths, queries, continue tokens, Accept, options."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from urllib.parse import quote

from apiserver.negotiation import body_type, negotiate
from apiserver.registry.options import delete_options
from apiserver.requestinfo import parse_request_info
from apiserver.server import parse_query
from apiserver.verbs.continuation import decode_token, encode_token
from apiserver.verbs.freshness import check_watch, list_freshness
from apiserver.verbs.selection import selection
from tests.fuzz.fuzzing import PIECES, VALUES, fuzz, mutated_text, mutated_value
from tests.fuzz.generating import KINDS

PREFIX = "/registry/core/pods/"
PATHS = [
    "/api/v1/namespaces/default/pods/a/status", "/apis/apps/v1/deployments", "/api/v1/watch/pods", "/version",
    "/api/v1/namespaces/default/pods/a/exec", "/apis", "/api/v1/nodes/n1/proxy/metrics/x", "/openapi/v3", "/",
]  # fmt: skip
QUERIES = [
    "watch=true&resourceVersion=5&timeoutSeconds=3", "limit=500&continue=abc", "labelSelector=a%3Db", "dryRun=All",
    "fieldSelector=metadata.name%3Da", "resourceVersion=1&resourceVersionMatch=Exact", "gracePeriodSeconds=30",
    "propagationPolicy=Foreground", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "timeout=3s",
    "fieldManager=a&force=true&fieldValidation=Strict", "pretty=true", "limit=--5", "limit=%C2%B2",
    "timeoutSeconds=%C2%B2",
]  # fmt: skip
ACCEPTS = [
    "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "*/*;q=0.8", "text/html", "",
    "application/vnd.kubernetes.protobuf,application/yaml;q=nan", "application/json;q=1e999;q=-1;as=;as=Table",
]  # fmt: skip


def test_paths_and_queries() -> None:
    path, query = mutated_text(PATHS), mutated_text(QUERIES)

    def make(source: random.Random) -> tuple[str, str, str]:
        method = source.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"))
        escaped = quote(path(source), safe=source.choice(("/", "/%", "/%.;?#")), errors="surrogatepass")
        return method, escaped, quote(query(source), safe="=&%+", errors="surrogatepass")

    def parse(given: tuple[str, str, str]) -> None:
        method, raw_path, raw_query = given
        asked = parse_query(raw_query)
        info = parse_request_info(method, raw_path, asked)
        assert ".." not in info.path.split("/") and "//" not in info.path and "\\" not in info.path
        for kind in KINDS[:: len(KINDS) // 4]:
            selection(asked, kind, info.namespace, info.name)
        list_freshness(asked)
        check_watch(asked)
        delete_options(None, asked)

    fuzz(parse, make)


def test_continue_tokens() -> None:
    token = encode_token(PREFIX + "default/a", 42, PREFIX)
    inside = [{"v": "meta.k8s.io/v1", "rv": 42, "start": "default/a"}, {"v": "x"}, [], None, 1]
    bend_value = mutated_value(inside, (*VALUES, "../secrets/x", "/x", "a/../../x", 2**70), ("v", "rv", "start"))
    bend_text = mutated_text([token, token.rstrip("="), ""], (*PIECES, "=", "==", "-_", "+/"))

    def make(source: random.Random) -> str:
        if source.random() < 0.5:
            return bend_text(source)
        return base64.urlsafe_b64encode(json.dumps(bend_value(source)).encode()).decode().rstrip("=")

    def parse(text: str) -> None:
        position = decode_token(text, PREFIX)
        assert position.start.startswith(PREFIX) and "/../" not in position.start
        assert -1 <= position.revision < 2**63

    fuzz(parse, make)


def test_media_types() -> None:
    def parse(header: str) -> None:
        negotiate(header)
        body_type(header)

    fuzz(parse, mutated_text(ACCEPTS), known=["," * 100_000, ";" * 100_000, "a/b;" * 30_000, "q=" * 50_000])


def test_delete_options() -> None:
    options: list[Any] = [
        {"kind": "DeleteOptions", "gracePeriodSeconds": 5, "preconditions": {"uid": "a", "resourceVersion": "5"}},
        {"propagationPolicy": "Orphan", "dryRun": ["All"], "orphanDependents": True},
    ]

    def parse(value: Any) -> None:
        if value is None or isinstance(value, dict):
            delete_options(value, {})

    fuzz(parse, mutated_value(options))
