"""Variables of containers: from ConfigMaps and Secrets, expanded, of Services; and what they are expanded into."""

from __future__ import annotations

import pytest

from tests.conformance.api import Object
from tests.conformance.node.case import Case, is_running
from tests.conformance.node.manifests import container, field_env, mount, once, pod, shell
from tests.conformance.rows import row

PREFIXES = ("p_", "1p-", "p.", "$_p-", "!a:")  # any printable character but "="


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("configMap", marks=row(206, "ConfigMap, from environment field with various prefixes"), id="206"),
        pytest.param("secret", marks=row(276, "Secrets, pod environment from source"), id="276"),
    ],
)
def test_all_keys_are_variables_with_various_prefixes(case: Case, kind: str) -> None:
    data = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
    (case.secret if kind == "secret" else case.config_map)("source", data)
    sources: list[Object] = [{f"{kind}Ref": {"name": "source"}}]
    sources += [{"prefix": prefix, f"{kind}Ref": {"name": "source"}} for prefix in PREFIXES]
    lines = case.output(once("reader", container(case.images.busybox, "env", envFrom=sources))).splitlines()
    assert {f"{prefix}{key}={value}" for prefix in ("", *PREFIXES) for key, value in data.items()} <= set(lines)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("configMap", marks=row(207, "ConfigMap, from environment field"), id="207"),
        pytest.param("secret", marks=row(277, "Secrets, pod environment field"), id="277"),
    ],
)
def test_a_key_is_a_variable(case: Case, kind: str) -> None:
    (case.secret if kind == "secret" else case.config_map)("source", {"data-1": "value-1"})
    env = [{"name": "DATA_1", "valueFrom": {f"{kind}KeyRef": {"name": "source", "key": "data-1"}}}]
    log = case.output(once("reader", shell(case.images.busybox, "env", env=env)))
    assert "DATA_1=value-1\n" in log


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("configMap", marks=row(208, "ConfigMap, from environment variables"), id="208"),
        pytest.param("secret", marks=row(278, "Secrets, pod environment from source"), id="278"),
    ],
)
def test_all_keys_are_variables(case: Case, kind: str) -> None:
    data = {"data_1": "value-1", "data_2": "value-2", "data_3": "value-3"}
    (case.secret if kind == "secret" else case.config_map)("source", data)
    sources: list[Object] = [{f"{kind}Ref": {"name": "source"}}, {"prefix": "p_", f"{kind}Ref": {"name": "source"}}]
    lines = case.output(once("reader", shell(case.images.busybox, "env", envFrom=sources))).splitlines()
    assert {f"{prefix}{key}={value}" for prefix in ("", "p_") for key, value in data.items()} <= set(lines)


@row(254, "Pods, service environment variables")
def test_services_are_variables(case: Case) -> None:
    server = case.create(pod("server", container(case.images.agnhost, "serve-hostname")))
    case.running(server)
    ports = [{"port": 8765, "targetPort": 8080}]
    service = {"metadata": {"name": "fooservice"}, "spec": {"ports": ports, "selector": {"name": "server"}}}
    made = case.api.create(case.path("services"), service)
    address = made["spec"]["clusterIP"]
    expected = {
        f"FOOSERVICE_SERVICE_HOST={address}",
        "FOOSERVICE_SERVICE_PORT=8765",
        f"FOOSERVICE_PORT=tcp://{address}:8765",
        f"FOOSERVICE_PORT_8765_TCP=tcp://{address}:8765",
        "FOOSERVICE_PORT_8765_TCP_PROTO=tcp",
        "FOOSERVICE_PORT_8765_TCP_PORT=8765",
        f"FOOSERVICE_PORT_8765_TCP_ADDR={address}",
    }

    # the agent may hear of the Service a moment after the pod, as upstream's may: the row asks for it in the end
    for attempt in range(5):
        lines = set(case.output(once(f"reader-{attempt}", shell(case.images.busybox, "env"))).splitlines())
        if expected <= lines:
            return
    raise AssertionError(f"{expected - lines} are missing")


@row(287, "Environment variables, expansion")
def test_variables_are_composed_of_variables(case: Case) -> None:
    env = [
        {"name": "FOO", "value": "foo-value"},
        {"name": "BAR", "value": "bar-value"},
        {"name": "FOOBAR", "value": "$(FOO);;$(BAR)"},
    ]
    lines = case.output(once("reader", shell(case.images.busybox, "env", env=env))).splitlines()
    assert {"FOO=foo-value", "BAR=bar-value", "FOOBAR=foo-value;;bar-value"} <= set(lines)


@row(289, "Environment variables, command expansion")
def test_variables_are_substituted_in_a_command(case: Case) -> None:
    env = [{"name": "TEST_VAR", "value": "test-value"}]
    script = 'TEST_VAR=wrong echo "$(TEST_VAR)"'
    assert case.output(once("reader", shell(case.images.busybox, script, env=env))) == "test-value\n"


@row(288, "Environment variables, command argument expansion")
def test_variables_are_substituted_in_arguments(case: Case) -> None:
    main = container(
        case.images.busybox,
        'TEST_VAR=wrong echo "$(TEST_VAR)"',
        command=["sh", "-c"],
        env=[{"name": "TEST_VAR", "value": "test-value"}],
    )
    assert case.output(once("reader", main)) == "test-value\n"


EMPTY = [{"name": "workdir1", "emptyDir": {}}]


@row(290, "VolumeSubpathEnvExpansion, subpath expansion")
def test_a_variable_is_substituted_in_a_subpath(case: Case) -> None:
    mounts = [
        mount("workdir1", "/logscontainer", subPathExpr="$(POD_NAME)"),
        mount("workdir1", "/testcontainer"),
    ]
    script = "test -d /testcontainer/writer && echo found"
    env = [field_env("POD_NAME", "metadata.name")]
    main = shell(case.images.busybox, script, env=env, volumeMounts=mounts)
    assert case.output(once("writer", main, volumes=EMPTY)) == "found\n"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("/tmp", marks=row(291, "VolumeSubpathEnvExpansion, subpath with absolute path"), id="291"),
        pytest.param("..", marks=row(292, "VolumeSubpathEnvExpansion, subpath with backticks"), id="292"),
        pytest.param("../tmp", marks=row(292, "VolumeSubpathEnvExpansion, subpath with backticks"), id="292-up"),
    ],
)
def test_a_subpath_that_leaves_the_volume_is_refused(case: Case, value: str) -> None:
    main = shell(
        case.images.busybox,
        env=[{"name": "POD_NAME", "value": value}],
        volumeMounts=[mount("workdir1", "/logscontainer", subPathExpr="$(POD_NAME)")],
    )
    name = case.create(pod("refused", main, volumes=EMPTY))

    def is_refused(found: object) -> bool:
        statuses = case.pod(name)["status"].get("containerStatuses", [])
        return bool(statuses) and statuses[0]["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"

    case.wait(name, is_refused, "cannot make its container")
    case.never(name, is_running, "runs all the same", seconds=2)
    assert case.pod(name)["status"]["phase"] == "Pending"


@row(293, "VolumeSubpathEnvExpansion, subpath test writes")
def test_writes_go_to_the_subpath(case: Case) -> None:
    mounts = [
        mount("workdir1", "/subpath_mount", subPathExpr="$(ANNOTATION)/$(POD_NAME)"),
        mount("workdir1", "/volume_mount"),
    ]
    env = [field_env("POD_NAME", "metadata.name"), field_env("ANNOTATION", "metadata.annotations['mysubpath']")]
    made = pod("writer", shell(case.images.busybox, env=env, volumeMounts=mounts), volumes=EMPTY)
    made["metadata"]["annotations"] = {"mysubpath": "mypath"}
    name = case.create(made)
    case.running(name)
    case.shell(name, "touch /volume_mount/mypath/writer/test.log")
    case.shell(name, "test -f /subpath_mount/test.log")
    case.api.patch(case.path("pods", name), {"metadata": {"annotations": {"mysubpath": "mynewpath"}}})
    case.running(name)
    case.delete(name)
    case.gone(name)


@pytest.mark.slow
@row(294, "VolumeSubpathEnvExpansion, subpath ready from failed state")
def test_a_failing_subpath_can_be_mended(case: Case) -> None:
    mounts = [
        mount("workdir1", "/subpath_mount", subPathExpr="$(ANNOTATION)/$(POD_NAME)"),
        mount("workdir1", "/volume_mount"),
    ]
    env = [field_env("POD_NAME", "metadata.name"), field_env("ANNOTATION", "metadata.annotations['mysubpath']")]
    made = pod("mended", shell(case.images.busybox, env=env, volumeMounts=mounts), volumes=EMPTY)
    made["metadata"]["annotations"] = {"notmysubpath": "mypath"}
    name = case.create(made)
    case.wait(name, lambda found: found["status"].get("containerStatuses"), "has a status")
    case.never(name, is_running, "runs without the annotation", seconds=2)
    case.api.patch(case.path("pods", name), {"metadata": {"annotations": {"mysubpath": "mypath"}}})
    case.running(name)
