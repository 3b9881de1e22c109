"""Environment, expansion, downward API, command lines, /etc/hosts and /etc/resolv.conf."""

from typing import Any

import pytest

from nodeagent.pods.downward import NodeFacts, format_map
from nodeagent.pods.environment import ConfigError, Sources, command_line, environment, hostname
from nodeagent.pods.expansion import expand
from nodeagent.pods.netfiles import ClusterDNS, hosts_file, resolv_conf
from tests.nodeagent.pods.test_plan import pod
from tiphys.api.core.pod import Pod
from tiphys.api.core.service import Service

NODE = NodeFacts("n1", ("192.0.2.7",), {"cpu": "4", "memory": "1000Ki"})


def with_env(*env: dict[str, Any], container: dict[str, Any] | None = None, spec: dict[str, Any] | None = None) -> Pod:
    made = {"name": "a", "image": "x", "env": list(env), **(container or {})}
    return pod({"containers": [made], **(spec or {})}, labels={"k": "v"}, annotations={"b": 'q"', "a": "1"})


def env_of(the_pod: Pod, sources: Sources | None = None) -> dict[str, str]:
    return environment(the_pod, the_pod.spec.containers[0], sources or Sources(), NODE, ("10.0.0.9",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("a$", "a$"),
        ("$()", "$()"),
        ("$(A)$(B)", "1$(A)"),
        ("foo$(A)bar$$", "foo1bar$"),
        ("$(A$(A)", "$(A$(A)"),
    ],
)
def test_references_are_expanded_as_upstream_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "$(A)"}) == expected


def test_later_variables_see_earlier_ones() -> None:
    the_pod = with_env({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "A", "value": "$(B)"})
    assert env_of(the_pod) == {"A": "12", "B": "12"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u1"),
        ("metadata.labels['k']", "v"),
        ("metadata.annotations['a']", "1"),
        ("spec.nodeName", "n1"),
        ("status.hostIP", "192.0.2.7"),
        ("status.podIP", "10.0.0.9"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    assert env_of(with_env({"name": "F", "valueFrom": {"fieldRef": {"fieldPath": path}}})) == {"F": expected}


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.cpu", "1m", "1500"),
        ("limits.cpu", "", "2"),
        ("requests.cpu", "1m", "250"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "", "67108864"),
        ("requests.memory", "", "0"),
    ],
)
def test_resources_of_the_container(resource: str, divisor: str, expected: str) -> None:
    ref = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    limits = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}
    the_pod = with_env({"name": "R", "valueFrom": {"resourceFieldRef": ref}}, container={"resources": limits})
    assert env_of(the_pod) == {"R": expected}


def test_a_missing_limit_is_the_nodes_allocatable() -> None:
    the_pod = with_env({"name": "R", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}})
    assert env_of(the_pod) == {"R": "4"}


def test_keys_of_config_maps_and_secrets() -> None:
    the_pod = with_env(
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
        {"name": "O", "valueFrom": {"secretKeyRef": {"name": "none", "key": "p", "optional": True}}},
        {"name": "E", "value": "$(C)-$(X_all)"},
        container={"envFrom": [{"prefix": "X_", "configMapRef": {"name": "cm2"}}, {"secretRef": {"name": "s"}}]},
    )
    sources = Sources({"cm": {"k": b"v"}, "cm2": {"all": b"1"}}, {"s": {"p": b"w"}})
    assert env_of(the_pod, sources) == {"X_all": "1", "p": "w", "C": "v", "S": "w", "E": "v-1"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "no"}}, "couldn't find key no in ConfigMap default/cm"),
        ({"secretKeyRef": {"name": "s", "key": "no"}}, "couldn't find key no in Secret default/s"),
    ],
)
def test_a_missing_source_is_a_config_error(source: dict[str, Any], message: str) -> None:
    sources = Sources({"cm": {"k": b"v"}}, {"s": {"p": b"w"}})
    with pytest.raises(ConfigError, match=message):
        env_of(with_env({"name": "V", "valueFrom": source}), sources)


def service(name: str, namespace: str, ip: str, port: int = 80, port_name: str = "") -> Service:
    return Service.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": [{"name": port_name, "port": port, "protocol": "TCP"}]},
        }
    )


def test_service_links_are_of_the_namespace_and_the_api_server() -> None:
    services = [
        service("my-db", "default", "10.96.0.9", 5432, "sql"),
        service("other", "elsewhere", "10.96.0.8"),
        service("headless", "default", "None"),
        service("kubernetes", "default", "10.96.0.1", 443, "https"),
    ]
    env = env_of(with_env(), Sources(services=services))
    assert env["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert env["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert env["MY_DB_SERVICE_HOST"] == "10.96.0.9"
    assert env["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.9:5432"
    assert env["MY_DB_PORT_5432_TCP_ADDR"] == "10.96.0.9"
    assert not any(name.startswith(("OTHER", "HEADLESS")) for name in env)
    without = env_of(with_env(spec={"enableServiceLinks": False}), Sources(services=services))
    assert "MY_DB_SERVICE_HOST" not in without
    assert without["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


def test_without_a_service_the_api_servers_own_address_is_given() -> None:
    env = env_of(with_env(), Sources(api_server=("192.0.2.1", 6443)))
    assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == ("192.0.2.1", "6443")


@pytest.mark.parametrize(
    ("container", "argv"),
    [
        ({}, ("e", "c")),
        ({"command": ["x"]}, ("x",)),
        ({"args": ["y"]}, ("e", "y")),
        ({"command": ["x"], "args": ["$(A)"]}, ("x", "1")),
    ],
)
def test_the_command_line(container: dict[str, Any], argv: tuple[str, ...]) -> None:
    made = with_env(container=container).spec.containers[0]
    assert command_line(made, {"A": "1"}, ("e",), ("c",)) == argv


def test_an_image_without_a_command_needs_one() -> None:
    with pytest.raises(ConfigError):
        command_line(with_env().spec.containers[0], {}, (), ())


def test_maps_are_written_with_gos_quoting() -> None:
    assert format_map({"b": 'q"\n', "a": "1"}) == 'a="1"\nb="q\\"\\n"'


def test_the_hosts_file() -> None:
    aliases = {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]}
    text = hosts_file(pod(aliases), ["10.0.0.9"], "web", "sub.default.svc.cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.9\tweb.sub.default.svc.cluster.local\tweb\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\tx\ty\n")


def test_resolv_conf_by_policy() -> None:
    dns = ClusterDNS(("10.96.0.10",), "cluster.local", "search example.com\nnameserver 9.9.9.9\n")
    assert resolv_conf(pod(), dns) == (
        "search default.svc.cluster.local svc.cluster.local cluster.local example.com\n"
        "nameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert resolv_conf(pod({"dnsPolicy": "Default"}), dns) == "search example.com\nnameserver 9.9.9.9\n"
    config = {"nameservers": ["1.1.1.1"], "searches": ["s"], "options": [{"name": "ndots", "value": "2"}]}
    own = pod({"dnsPolicy": "None", "dnsConfig": config})
    assert resolv_conf(own, dns) == "search s\nnameserver 1.1.1.1\noptions ndots:2\n"


def test_hostnames() -> None:
    assert hostname(pod(), "n1") == "web"
    assert hostname(pod({"hostname": "h"}), "n1") == "h"
    assert hostname(pod({"hostNetwork": True}), "n1") == "n1"
