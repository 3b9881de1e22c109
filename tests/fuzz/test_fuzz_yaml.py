"""YAML as the server reads it: what comes back is JSON, whatever went in."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from apiserver.registry.body import load_yaml
from tests.fuzz.fuzzing import DATA, fuzz, golden_objects, mutated_bytes
from tiphys.api.yaml import YamlError, dump, load_documents

MANIFESTS = [path.read_bytes() for path in sorted(Path(DATA.parent.parent, "manifests").rglob("*.yaml"))]
BODIES = [
    *MANIFESTS,
    *(yaml.safe_dump(obj).encode() for obj in golden_objects()[::3]),
    *(yaml.safe_dump(obj, default_flow_style=True).encode() for obj in golden_objects()[::9]),
    b"a: &a [x, y]\nb: *a\nc: {<<: {d: 1}, e: !!str 5}\n? f\n: |\n  g\n  h\n",
]


def parse(body: bytes) -> None:
    value, problems = load_yaml(body)
    json.dumps([value, problems], allow_nan=False).encode()
    if value is not None:
        dump(value)


def test_a_yaml_body() -> None:
    known = [
        b"a: 0x" + b"f" * 300,
        b"a: " + b"9" * 350,
        b"- " * 2000,
        b"[" * 20_000,
        b"? " * 2000,
        b"a: &a [*a]",
        b"*a",
    ]
    fuzz(parse, mutated_bytes(BODIES), known=known)


def test_a_manifest_on_the_command_line() -> None:
    def read(body: bytes) -> None:
        json.dumps([document.value for document in load_documents(body)], allow_nan=False)

    fuzz(read, mutated_bytes(BODIES), allowed=YamlError)
