"""subPath of what the agent itself writes: ConfigMap, Secret, downward API, projected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, mount, once
from tests.conformance.rows import row

LOOP_SECONDS = 5
KEY = "configmap-key"
VALUE = "configmap-value"


def source(number: int, testname: str, kind: str) -> Any:
    return pytest.param(kind, marks=row(number, testname), id=str(number))


def volume(kind: str) -> Object:
    """A volume whose file KEY holds VALUE."""
    downward = {"items": [{"path": KEY, "fieldRef": {"fieldPath": "metadata.labels['value']"}}]}
    settings = {"name": "source", "items": [{"key": KEY, "path": KEY}]}
    kinds: dict[str, Object] = {
        "configMap": {"configMap": settings},
        "secret": {"secret": {"secretName": "source"}},
        "downwardAPI": {"downwardAPI": downward},
        "projected": {"projected": {"sources": [{"configMap": settings}]}},
    }
    return {"name": "volume", **kinds[kind]}


def check(case: Case, kind: str, path: str) -> None:
    (case.secret if kind == "secret" else case.config_map)("source", {KEY: VALUE})
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--file_content_in_loop={path}",
        f"--retry_time={LOOP_SECONDS}",
        "--break_on_expected_content=false",
        volumeMounts=[mount("volume", path, subPath=KEY)],
    )
    made = once("reader", main, volumes=[volume(kind)])
    made["metadata"]["labels"]["value"] = VALUE
    log = case.output(made)
    assert log.count(f'content of file "{path}": {VALUE}\n') >= 2
    assert "Error reading file" not in log


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        source(436, "SubPath: Reading content from a configmap volume.", "configMap"),
        source(438, "SubPath: Reading content from a downwardAPI volume.", "downwardAPI"),
        source(439, "SubPath: Reading content from a projected volume.", "projected"),
        source(440, "SubPath: Reading content from a secret volume.", "secret"),
    ],
)
def test_a_subpath_is_read_again_and_again(case: Case, kind: str) -> None:
    check(case, kind, "/test-volume")


@pytest.mark.slow
@row(437, "SubPath: Reading content from a configmap volume.")
def test_a_subpath_is_mounted_over_an_existing_file(case: Case) -> None:
    check(case, "configMap", "/etc/resolv.conf")
