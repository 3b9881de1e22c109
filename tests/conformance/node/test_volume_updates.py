"""What changes in the API changes in the files of running pods: ConfigMaps, Secrets, labels and annotations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, mount, pod
from tests.conformance.rows import row

LOOP_SECONDS = 200


def reader(case: Case, name: str, path: str, volume: str) -> Object:
    """Writes the file's content into its log again and again, as long as the row may take."""
    return container(
        case.images.agnhost,
        "mounttest",
        "--break_on_expected_content=false",
        f"--retry_time={LOOP_SECONDS}",
        f"--file_content_in_loop={path}",
        name=name,
        volumeMounts=[mount(volume, path.rsplit("/", 1)[0], readOnly=True)],
    )


def source(kind: str, projected: bool, name: str, **fields: Any) -> Object:
    key = "secretName" if kind == "secret" and not projected else "name"
    one = {kind: {key: name, **fields}}
    return {"projected": {"sources": [one]}} if projected else one


def write(case: Case, kind: str, name: str, data: dict[str, str]) -> None:
    (case.secret if kind == "secret" else case.config_map)(name, data)


def updates(number: int, testname: str, kind: str, projected: bool) -> Any:
    return pytest.param(kind, projected, marks=row(number, testname), id=str(number))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "projected"),
    [
        updates(296, "ConfigMap Volume, create, update and delete", "configMap", False),
        updates(318, "Projected Volume, ConfigMap, create, update and delete", "configMap", True),
        updates(338, "Projected Volume, Secrets, create, update delete", "secret", True),
        updates(345, "Secrets Volume, create, update and delete", "secret", False),
    ],
)
def test_optional_updates_are_reflected(case: Case, kind: str, projected: bool) -> None:
    plural = "secrets" if kind == "secret" else "configmaps"
    write(case, kind, "deleted", {"data-1": "value-1"})
    write(case, kind, "updated", {"data-1": "value-1"})
    volumes, containers = [], []
    for name, key in (("deleted", "data-1"), ("updated", "data-3"), ("created", "data-1")):
        volumes.append({"name": name, **source(kind, projected, name, optional=True)})
        containers.append(reader(case, name, f"/etc/volumes/{name}/{key}", name))
    name = case.create(pod("reader", *containers, volumes=volumes))
    case.running(name)
    case.logged(name, "Error reading file /etc/volumes/created/data-1", "created")
    case.logged(name, "Error reading file /etc/volumes/updated/data-3", "updated")
    case.logged(name, "value-1", "deleted")

    case.api.delete(case.path(plural, "deleted"))
    changed = {"stringData" if kind == "secret" else "data": {"data-3": "value-3"}}
    case.api.patch(case.path(plural, "updated"), changed)
    write(case, kind, "created", {"data-1": "value-1"})
    case.logged(name, "value-1", "created")
    case.logged(name, "value-3", "updated")
    case.logged(name, "Error reading file /etc/volumes/deleted/data-1", "deleted")


@pytest.mark.slow
@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(False, marks=row(305, "ConfigMap Volume, update"), id="305"),
        pytest.param(True, marks=row(326, "Projected Volume, ConfigMap, update"), id="326"),
    ],
)
def test_an_update_is_reflected(case: Case, projected: bool) -> None:
    case.config_map("settings", {"data-1": "value-1"})
    main = reader(case, "main", "/etc/settings/data-1", "settings")
    volume = {"name": "settings", **source("configMap", projected, "settings")}
    name = case.create(pod("reader", main, volumes=[volume]))
    case.running(name)
    case.logged(name, "value-1")
    case.api.patch(case.path("configmaps", "settings"), {"data": {"data-1": "value-2"}})
    case.logged(name, "value-2")


def metadata(number: int, testname: str, field: str, projected: bool) -> Any:
    return pytest.param(field, projected, marks=row(number, testname), id=str(number))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "projected"),
    [
        metadata(315, "DownwardAPI volume, update annotations", "annotations", False),
        metadata(316, "DownwardAPI volume, update label", "labels", False),
        metadata(336, "Projected Volume, DownwardAPI, update annotation", "annotations", True),
        metadata(337, "Projected Volume, DownwardAPI, update labels", "labels", True),
    ],
)
def test_metadata_changes_are_reflected(case: Case, field: str, projected: bool) -> None:
    one = {"downwardAPI": {"items": [{"path": field, "fieldRef": {"fieldPath": f"metadata.{field}"}}]}}
    volume = {"name": "podinfo", **({"projected": {"sources": [one]}} if projected else one)}
    made = pod("reader", reader(case, "main", f"/etc/podinfo/{field}", "podinfo"), volumes=[volume])
    made["metadata"][field] = {"key1": "value1", "key2": "value2"}
    name = case.create(made)
    case.running(name)
    case.logged(name, 'key1="value1"\nkey2="value2"\n')
    case.api.patch(case.path("pods", name), {"metadata": {field: {"key3": "value3"}}})
    case.logged(name, 'key3="value3"\n')
