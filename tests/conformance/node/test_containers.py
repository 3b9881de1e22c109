"""Containers: command and arguments, exit and phases, termination messages, logs, what the kubelet writes into them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.node.case import Case, condition, restarts, terminated
from tests.conformance.node.manifests import container, mount, once, pod, shell
from tests.conformance.rows import row


@row(224, "Containers, without command and arguments")
def test_the_image_says_what_runs(case: Case) -> None:
    name = case.create(pod("defaults", container(case.images.agnhost)))
    case.running(name)
    case.logged(name, "Paused")


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        pytest.param(
            [],
            ["entrypoint-tester", "override", "arguments"],
            "[/agnhost entrypoint-tester override arguments]",
            marks=row(221, "Containers, with arguments"),
            id="221",
        ),
        pytest.param(
            ["/agnhost-2", "entrypoint-tester"],
            [],
            "[/agnhost-2 entrypoint-tester]",
            marks=row(222, "Containers, with command"),
            id="222",
        ),
        pytest.param(
            ["/agnhost-2"],
            ["entrypoint-tester", "override", "arguments"],
            "[/agnhost-2 entrypoint-tester override arguments]",
            marks=row(223, "Containers, with command and arguments"),
            id="223",
        ),
    ],
)
def test_command_and_arguments_are_overridden(case: Case, command: list[str], args: list[str], expected: str) -> None:
    fields: dict[str, Any] = {"command": command} if command else {}
    assert case.output(once("teller", container(case.images.agnhost, *args, **fields))) == expected + "\n"


def message(number: int, testname: str, script: str, expected: str, phase: str, **fields: Any) -> Any:
    return pytest.param(script, expected, phase, fields, marks=row(number, testname), id=str(number))


FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.mark.parametrize(
    ("script", "expected", "phase", "fields"),
    [
        message(
            216,
            "Container Runtime, TerminationMessage, from log output of succeeding container",
            "echo -n DONE",
            "",
            "Succeeded",
            **FALLBACK,
        ),
        message(
            217,
            "Container Runtime, TerminationMessage, from file of succeeding container",
            "echo -n OK > /dev/termination-log; echo DONE; exit 0",
            "OK",
            "Succeeded",
            **FALLBACK,
        ),
        message(
            218,
            "Container Runtime, TerminationMessage, from container's log output of failing container",
            "echo -n DONE; exit 1",
            "DONE",
            "Failed",
            **FALLBACK,
        ),
        message(
            219,
            "Container Runtime, TerminationMessagePath, non-root user and non-default path",
            "echo -n DONE > /dev/termination-custom-log",
            "DONE",
            "Succeeded",
            terminationMessagePath="/dev/termination-custom-log",
            securityContext={"runAsUser": 1000},
        ),
    ],
)
def test_a_termination_message_is_in_the_status(
    case: Case, script: str, expected: str, phase: str, fields: dict[str, Any]
) -> None:
    name = case.create(once("ending", shell(case.images.busybox, script, **fields)))
    found = case.ended(name)
    assert found["status"]["phase"] == phase
    assert terminated(found).get("message", "") == expected


@pytest.mark.slow
@row(220, "Container Runtime, Restart Policy, Pod Phases")
@pytest.mark.parametrize(
    ("policy", "phase", "state", "ready", "count"),
    [
        ("Always", "Running", "running", True, 2),
        ("OnFailure", "Succeeded", "terminated", False, 1),
        ("Never", "Failed", "terminated", False, 0),
    ],
)
def test_a_container_that_exits_has_the_expected_status(
    case: Case, policy: str, phase: str, state: str, ready: bool, count: int
) -> None:
    """As upstream: the first run fails, the second succeeds, the third stays."""
    script = (
        "f=/restart-count/count; count=$(cat $f 2>/dev/null | wc -c); echo -n x >> $f; "
        "[ $count -eq 0 ] && exit 1; [ $count -eq 1 ] && exit 0; "
        "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
    )
    main = shell(case.images.busybox, script, volumeMounts=[mount("count", "/restart-count")])
    volumes = [{"name": "count", "emptyDir": {}}]
    name = case.create(pod("exiting", main, restartPolicy=policy, volumes=volumes))
    found = case.wait(
        name,
        lambda it: it["status"]["phase"] == phase and restarts(it) == count and state in first_state(it),
        f"is {phase} and {state} after {count} restarts",
    )
    status = found["status"]["containerStatuses"][0]
    assert status["ready"] == ready
    assert condition(found, "Ready") == str(ready)


def first_state(found: dict[str, Any]) -> dict[str, Any]:
    statuses = found["status"].get("containerStatuses", [])
    state: dict[str, Any] = statuses[0]["state"] if statuses else {}
    return state


@row(238, "Kubelet, log output, default")
def test_what_a_container_writes_is_its_log(case: Case) -> None:
    name = case.create(once("writer", shell(case.images.busybox, "echo 'Hello World' ; sleep 3600")))
    case.running(name)
    assert case.logged(name, "Hello World") == "Hello World\n"


@row(240, "Kubelet, failed pod, terminated reason")
def test_a_failed_command_has_a_reason(case: Case) -> None:
    name = case.create(pod("failing", container(case.images.busybox, command=["/bin/false"])))
    found = case.wait(name, lambda it: "terminated" in first_state(it), "has ended")
    end = terminated(found)
    assert end["exitCode"] != 0 and end["reason"]


@row(239, "Kubelet, failed pod, delete")
def test_a_failing_pod_can_be_deleted(case: Case) -> None:
    name = case.create(pod("failing", container(case.images.busybox, command=["/bin/false"])))
    case.wait(name, lambda it: it["status"].get("containerStatuses"), "has a status")
    case.delete(name)
    case.gone(name)


@row(241, "Kubelet, pod with read only root file system")
def test_a_read_only_root_filesystem_is_not_written(case: Case) -> None:
    context = {"readOnlyRootFilesystem": True}
    script = "echo test > /file; sleep 240"
    name = case.create(once("writer", shell(case.images.busybox, script, securityContext=context)))
    case.running(name)
    case.logged(name, "/bin/sh: can't create /file: Read-only file system")


@row(242, "Kubelet, hostAliases")
def test_host_aliases_are_in_etc_hosts(case: Case) -> None:
    aliases = [
        {"ip": "123.45.67.89", "hostnames": ["foo", "bar"]},
        {"ip": "123.45.67.90", "hostnames": ["remote"]},
    ]
    log = case.output(once("reader", container(case.images.agnhost, "etc-hosts"), hostAliases=aliases))
    assert "123.45.67.89\tfoo\tbar\n" in log
    assert "123.45.67.90\tremote\n" in log


@row(243, "Kubelet, managed etc hosts")
def test_etc_hosts_is_managed_unless_the_pod_says_otherwise(case: Case) -> None:
    heading = "# Kubernetes-managed hosts file."
    own = [mount("host-etc-hosts", "/etc/hosts"), mount("host-etc-hosts", "/etc/hosts-original")]
    kept = [mount("host-etc-hosts", "/etc/hosts-original")]
    volumes = [{"name": "host-etc-hosts", "hostPath": {"path": "/etc/hosts"}}]

    def containers() -> list[dict[str, Any]]:
        return [
            shell(case.images.busybox, name="busybox-1", volumeMounts=kept),
            shell(case.images.busybox, name="busybox-2", volumeMounts=kept),
            shell(case.images.busybox, name="busybox-3", volumeMounts=own),
        ]

    managed = case.create(pod("managed", *containers(), volumes=volumes))
    on_host = case.create(pod("on-host", *containers()[:2], volumes=volumes, hostNetwork=True))
    case.running(managed)
    case.running(on_host)
    for name in ("busybox-1", "busybox-2"):
        assert case.exec(managed, "cat", "/etc/hosts", container=name).startswith(heading)
        assert not case.exec(on_host, "cat", "/etc/hosts", container=name).startswith(heading)
    assert not case.exec(managed, "cat", "/etc/hosts", container="busybox-3").startswith(heading)


@row(363, "DNS, custom dnsConfig")
def test_the_resolver_is_configured_as_the_pod_says(case: Case) -> None:
    config = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}
    made = pod("resolver", container(case.images.agnhost), dnsPolicy="None", dnsConfig=config)
    name = case.create(made)
    case.running(name)
    assert case.exec(name, "/agnhost", "dns-suffix") == "resolv.conf.local\n"
    assert case.exec(name, "/agnhost", "dns-server-list") == "1.1.1.1\n"
