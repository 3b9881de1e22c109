"""ConfigMaps, Secrets and their projections as files: paths, modes, users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import MODE_0400, MODE_0644, container, mount, once, pod
from tests.conformance.rows import row

VOLUME = "/etc/volume"
MODE_0440 = "-r--r-----"
DATA = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
MAPPED = "path/to/data-2"


@dataclass(frozen=True)
class Files:
    """One way to mount: `kind` is configMap or secret; `mapped` puts data-2 at a path of its own."""

    kind: str
    projected: bool = False
    mapped: bool = False
    default_mode: int | None = None
    item_mode: int | None = None
    uid: int | None = None
    fs_group: int | None = None
    mode: str = MODE_0644

    def volume(self, source: str) -> Object:
        item: Object = {"key": "data-2", "path": MAPPED}
        if self.item_mode is not None:
            item["mode"] = self.item_mode
        name = {"secretName" if self.kind == "secret" and not self.projected else "name": source}
        fields: Object = {**name, **({"items": [item]} if self.mapped else {})}
        default: Object = {} if self.default_mode is None else {"defaultMode": self.default_mode}
        if self.projected:
            return {"projected": {"sources": [{self.kind: fields}], **default}}
        return {self.kind: {**fields, **default}}

    def make(self, case: Case, name: str) -> None:
        (case.secret if self.kind == "secret" else case.config_map)(name, DATA)

    @property
    def security_context(self) -> Object:
        return {key: value for key, value in (("runAsUser", self.uid), ("fsGroup", self.fs_group)) if value is not None}


def files(number: int, testname: str, kind: str, **fields: Any) -> Any:
    return pytest.param(Files(kind, **fields), marks=row(number, testname), id=str(number))


@pytest.mark.parametrize(
    "how",
    [
        files(297, "ConfigMap Volume, without mapping", "configMap"),
        files(298, "ConfigMap Volume, without mapping, non-root user", "configMap", uid=1000),
        files(
            299,
            "ConfigMap Volume, without mapping, volume mode set",
            "configMap",
            default_mode=0o400,
            mode=MODE_0400,
        ),
        files(300, "ConfigMap Volume, with mapping", "configMap", mapped=True),
        files(
            301,
            "ConfigMap Volume, with mapping, volume mode set",
            "configMap",
            mapped=True,
            item_mode=0o400,
            mode=MODE_0400,
        ),
        files(302, "ConfigMap Volume, with mapping, non-root user", "configMap", mapped=True, uid=1000),
        files(319, "Projected Volume, ConfigMap, volume mode default", "configMap", projected=True),
        files(320, "Projected Volume, ConfigMap, non-root user", "configMap", projected=True, uid=1000),
        files(
            321,
            "Projected Volume, ConfigMap, volume mode 0400",
            "configMap",
            projected=True,
            default_mode=0o400,
            mode=MODE_0400,
        ),
        files(322, "Projected Volume, ConfigMap, mapped", "configMap", projected=True, mapped=True),
        files(
            323,
            "Projected Volume, ConfigMap, mapped, volume mode 0400",
            "configMap",
            projected=True,
            mapped=True,
            item_mode=0o400,
            mode=MODE_0400,
        ),
        files(
            324,
            "Projected Volume, ConfigMap, mapped, non-root user",
            "configMap",
            projected=True,
            mapped=True,
            uid=1000,
        ),
        files(339, "Projected Volume, Secrets, volume mode default", "secret", projected=True),
        files(
            340,
            "Project Volume, Secrets, non-root, custom fsGroup",
            "secret",
            projected=True,
            default_mode=0o440,
            uid=1000,
            fs_group=1001,
            mode=MODE_0440,
        ),
        files(
            341,
            "Projected Volume, Secrets, volume mode 0400",
            "secret",
            projected=True,
            default_mode=0o400,
            mode=MODE_0400,
        ),
        files(342, "Projected Volume, Secrets, mapped", "secret", projected=True, mapped=True),
        files(
            343,
            "Projected Volume, Secrets, mapped, volume mode 0400",
            "secret",
            projected=True,
            mapped=True,
            item_mode=0o400,
            mode=MODE_0400,
        ),
        files(347, "Secrets Volume, default", "secret"),
        files(
            348,
            "Secrets Volume, volume mode 0440, fsGroup 1001 and uid 1000",
            "secret",
            default_mode=0o440,
            uid=1000,
            fs_group=1001,
            mode=MODE_0440,
        ),
        files(349, "Secrets Volume, volume mode 0400", "secret", default_mode=0o400, mode=MODE_0400),
        files(350, "Secrets Volume, mapping", "secret", mapped=True),
        files(
            351,
            "Secrets Volume, mapping, volume mode 0400",
            "secret",
            mapped=True,
            item_mode=0o400,
            mode=MODE_0400,
        ),
    ],
)
def test_a_key_is_a_file_with_its_mode(case: Case, how: Files) -> None:
    how.make(case, "source")
    key = "data-2" if how.mapped else "data-1"
    path = f"{VOLUME}/{MAPPED if how.mapped else key}"
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--file_content={path}",
        f"--file_mode={path}",
        volumeMounts=[mount("volume", VOLUME, readOnly=True)],
    )
    volumes = [{"name": "volume", **how.volume("source")}]
    log = case.output(once("reader", main, volumes=volumes, securityContext=how.security_context))
    assert f'content of file "{path}": {DATA[key]}' in log
    assert f'mode of file "{path}": {how.mode}' in log


@pytest.mark.parametrize(
    "how",
    [
        files(303, "ConfigMap Volume, multiple volume maps", "configMap"),
        files(325, "Projected Volume, ConfigMap, multiple volume paths", "configMap", projected=True),
        files(344, "Projected Volume, Secrets, mapped, multiple paths", "secret", projected=True),
        files(352, "Secrets Volume, mapping multiple volume paths", "secret"),
    ],
)
def test_one_source_is_mounted_as_two_volumes(case: Case, how: Files) -> None:
    how.make(case, "source")
    volumes = [{"name": f"volume-{number}", **how.volume("source")} for number in (1, 2)]
    mounts = [mount(f"volume-{number}", f"{VOLUME}-{number}", readOnly=True) for number in (1, 2)]
    readers = [
        container(
            case.images.agnhost,
            "mounttest",
            f"--file_content={VOLUME}-{number}/data-1",
            name=f"reader-{number}",
            volumeMounts=mounts,
        )
        for number in (1, 2)
    ]
    name = case.create(once("readers", *readers, volumes=volumes))
    case.succeeded(name)
    for number in (1, 2):
        assert f'content of file "{VOLUME}-{number}/data-1": value-1' in case.log(name, f"reader-{number}")


@row(346, "Secrets Volume, volume mode default, secret with same name in different namespace")
def test_a_secret_of_the_same_name_in_another_namespace_does_not_matter(case: Case) -> None:
    case.secret("source", DATA)
    elsewhere = case.new_namespace()
    other = {
        "metadata": {"name": "source"},
        "stringData": {"this_should_not_match_content_of_other_secret": "similarly"},
    }
    case.api.create(f"/api/v1/namespaces/{elsewhere}/secrets", other)
    path = f"{VOLUME}/data-1"
    main = container(
        case.images.agnhost,
        "mounttest",
        f"--file_content={path}",
        f"--file_mode={path}",
        volumeMounts=[mount("volume", VOLUME)],
    )
    log = case.output(once("reader", main, volumes=[{"name": "volume", "secret": {"secretName": "source"}}]))
    assert f'content of file "{path}": value-1' in log
    assert f'mode of file "{path}": {MODE_0644}' in log


@row(317, "Projected Volume, multiple projections")
def test_all_sources_share_one_projected_volume(case: Case) -> None:
    case.config_map("settings", {"configmap-data": "configmap-value-1"})
    case.secret("password", {"secret-data": "secret-value-1"})
    sources = [
        {"secret": {"name": "password", "items": [{"key": "secret-data", "path": "secret-data"}]}},
        {"configMap": {"name": "settings", "items": [{"key": "configmap-data", "path": "configmap-data"}]}},
        {"downwardAPI": {"items": [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]
    words = [f"--file_content=/all/{name}" for name in ("podname", "secret-data", "configmap-data")]
    readers = [
        container(case.images.agnhost, "mounttest", word, name=f"reader-{number}", volumeMounts=[mount("all", "/all")])
        for number, word in enumerate(words)
    ]
    name = case.create(once("readers", *readers, volumes=[{"name": "all", "projected": {"sources": sources}}]))
    case.succeeded(name)
    log = "".join(case.log(name, f"reader-{number}") for number in range(3))
    for path, value in (("podname", name), ("secret-data", "secret-value-1"), ("configmap-data", "configmap-value-1")):
        assert f'content of file "/all/{path}": {value}\n' in log


@row(295, "ConfigMap Volume, text data, binary data")
def test_text_and_binary_data_are_files(case: Case) -> None:
    case.config_map("source", {"data": "value"}, binaryData={"dump.bin": "3sr+uv8="})  # bytes that are no UTF-8
    main = container(case.images.agnhost, volumeMounts=[mount("volume", VOLUME)])
    source = {"name": "volume", "configMap": {"name": "source"}}
    name = case.create(pod("reader", main, volumes=[source]))
    case.running(name)
    assert case.exec(name, "cat", f"{VOLUME}/data") == "value"
    dumped = case.exec(name, "hexdump", "-v", "-e", '1/1 "%02x "', f"{VOLUME}/dump.bin")
    assert dumped.split() == ["de", "ca", "fe", "ba", "ff"]


@row(432, "EmptyDir Wrapper Volume, Secret and ConfigMap volumes, no conflict")
def test_secret_and_configmap_volumes_do_not_conflict(case: Case) -> None:
    case.secret("password", {"data-1": "value-1"})
    case.config_map("settings", {"data-1": "value-1"})
    volumes = [
        {"name": "secret", "secret": {"secretName": "password"}},
        {"name": "settings", "configMap": {"name": "settings"}},
    ]
    main = container(
        case.images.agnhost, volumeMounts=[mount("secret", "/etc/secret"), mount("settings", "/etc/settings")]
    )
    case.run(pod("both", main, volumes=volumes))
