"""Names in a pod: of Services, of pods, of the cluster; what its own files say; what dnsConfig changes."""

from __future__ import annotations

import re

from tests.conformance.api import Object, eventually
from tests.conformance.node.case import Case
from tests.conformance.node.manifests import container, once, pod, shell
from tests.conformance.rows import row

DOMAIN = "cluster.local"
PORTS = [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]


def service(case: Case, name: str, **spec: object) -> Object:
    body = {"metadata": {"name": name}, "spec": {"ports": PORTS, **spec}}
    return case.api.create(case.path("services"), body)


def full(case: Case, name: str) -> str:
    return f"{name}.{case.namespace}.svc.{DOMAIN}"


def asked(case: Case, asker: str, name: str, kind: str = "a") -> str:
    """What nslookup says in the pod, whether it finds something or not."""
    option = "" if kind == "ptr" else f"-type={kind}"  # of an address it asks for the name by itself
    return case.shell(asker, f"nslookup {option} {name} 2>&1 || true")


def resolves(case: Case, asker: str, name: str, expected: str, kind: str = "a") -> None:
    """Wait until an answer has `expected`, a regular expression."""
    last = ""

    def probe() -> bool:
        nonlocal last
        last = asked(case, asker, name, kind)
        return re.search(expected, last) is not None

    try:
        eventually(probe, f"{kind} of {name} is {expected}", 60, pause_seconds=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last answer: {last}") from None


def is_found(case: Case, where: str, name: str, ip: str) -> None:
    """By the C library's resolver, with the search list."""
    script = f"ping -c1 -w1 {name} 2>&1 || true"
    eventually(lambda: f"({ip})" in case.shell(where, script), f"{name} is {ip}", 60, pause_seconds=0.3)


def asker(case: Case) -> str:
    name: str = case.run(pod("asker", shell(case.images.busybox)))["metadata"]["name"]
    return name


@row(356, "DNS, cluster")
def test_a_pod_finds_its_own_name_in_its_hosts_file(case: Case) -> None:
    service(case, "group", clusterIP="None", selector={"name": "one"})
    one = case.run(pod("one", shell(case.images.busybox), hostname="myself", subdomain="group"))
    ip = one["status"]["podIP"]
    hosts = case.shell("one", "cat /etc/hosts")
    assert re.search(
        rf"^{re.escape(ip)}\s+myself\.group\.{case.namespace}\.svc\.{DOMAIN}\s+myself$", hosts, re.MULTILINE
    )
    assert case.shell("one", "hostname -f").strip() == f"myself.{full(case, 'group')}"
    is_found(case, "one", "myself", ip)


@row(357, "DNS, for ExternalName Services")
def test_an_external_name_is_an_alias_until_it_is_a_service(case: Case) -> None:
    name = asker(case)
    path = case.path("services", "out")
    case.api.create(
        case.path("services"),
        {"metadata": {"name": "out"}, "spec": {"type": "ExternalName", "externalName": "foo.example.com"}},
    )
    resolves(case, name, full(case, "out"), r"canonical name = foo\.example\.com", "cname")
    case.api.patch(path, {"spec": {"externalName": "bar.example.com"}})
    resolves(case, name, full(case, "out"), r"canonical name = bar\.example\.com", "cname")
    made = case.api.patch(path, {"spec": {"type": "ClusterIP", "externalName": None, "ports": PORTS}})
    resolves(case, name, full(case, "out"), rf"Address: {re.escape(made['spec']['clusterIP'])}\n")


@row(358, "DNS, resolve the hostname")
def test_a_pod_with_a_hostname_below_a_headless_service_has_a_record(case: Case) -> None:
    service(case, "group", clusterIP="None", selector={"name": "one"})
    one = case.run(pod("one", shell(case.images.busybox), hostname="myself", subdomain="group"))
    ip = re.escape(one["status"]["podIP"])
    resolves(case, "one", f"myself.{full(case, 'group')}", rf"Address: {ip}\n")
    is_found(case, "one", "myself", one["status"]["podIP"])


@row(359, "DNS, resolve the subdomain")
def test_a_subdomain_resolves_over_both_protocols(case: Case) -> None:
    service(case, "group", clusterIP="None", selector={"name": "one"})
    one = case.run(pod("one", shell(case.images.busybox), hostname="myself", subdomain="group"))
    ip = re.escape(one["status"]["podIP"])
    for name in (f"myself.{full(case, 'group')}", full(case, "group")):
        resolves(case, "one", name, rf"Address: {ip}\n")
    packed = over_tcp(case, "one", full(case, "group"))
    assert bytes(int(part) for part in one["status"]["podIP"].split(".")) in packed


def over_tcp(case: Case, where: str, name: str) -> bytes:
    """The bytes of an answer over TCP, asked with nc."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    message = b"\0\7\1\0\0\1" + bytes(6) + labels + b"\0\0\1\0\1"
    packed = "".join(f"\\x{byte:02x}" for byte in len(message).to_bytes(2, "big") + message)
    server = "$(awk '/^nameserver/{print $2}' /etc/resolv.conf)"
    dump = "hexdump -v -e '1/1 \"%02x\"'"
    return bytes.fromhex(case.shell(where, f"(printf '{packed}'; sleep 1) | nc -w 3 {server} 53 | {dump}").strip())


@row(360, "DNS, services")
def test_services_have_addresses_ports_and_names_by_address(case: Case) -> None:
    case.run(pod("backend", container(case.images.agnhost, "netexec", "--http-port=80")))
    service(case, "headless", clusterIP="None", selector={"name": "backend"})
    plain = service(case, "plain", selector={"name": "backend"})
    name, ip = asker(case), re.escape(case.pod("backend")["status"]["podIP"])
    address = plain["spec"]["clusterIP"]
    resolves(case, name, full(case, "headless"), rf"Address: {ip}\n")
    resolves(case, name, full(case, "plain"), rf"Address: {re.escape(address)}\n")
    resolves(case, name, f"_http._tcp.{full(case, 'plain')}", rf"service = \d+ \d+ 80 {full(case, 'plain')}", "srv")
    dashed = case.pod("backend")["status"]["podIP"].replace(".", "-")
    wanted = rf"service = \d+ \d+ 80 {dashed}\.{full(case, 'headless')}"
    resolves(case, name, f"_http._tcp.{full(case, 'headless')}", wanted, "srv")
    resolves(case, name, address, rf"name = {full(case, 'plain')}", "ptr")
    resolves(case, name, case.pod("backend")["status"]["podIP"], rf"name = {dashed}\.{full(case, 'headless')}", "ptr")
    assert bytes(int(part) for part in address.split(".")) in over_tcp(case, name, full(case, "plain"))


@row(361, "DNS, cluster")
def test_the_cluster_itself_has_a_name(case: Case) -> None:
    name = asker(case)
    resolves(case, name, f"kubernetes.default.svc.{DOMAIN}", r"Address: 10\.96\.0\.1\n")
    assert bytes([10, 96, 0, 1]) in over_tcp(case, name, f"kubernetes.default.svc.{DOMAIN}")
    for short in ("kubernetes.default", "kubernetes.default.svc"):
        is_found(case, name, short, "10.96.0.1")


@row(362, "DNS, PQDN for services")
def test_short_names_are_found_through_the_search_list(case: Case) -> None:
    case.run(pod("backend", container(case.images.agnhost, "netexec", "--http-port=80")))
    service(case, "headless", clusterIP="None", selector={"name": "backend"})
    plain = service(case, "plain", selector={"name": "backend"})
    name = asker(case)
    wanted = {"headless": case.pod("backend")["status"]["podIP"], "plain": plain["spec"]["clusterIP"]}
    for one, ip in wanted.items():
        for short in (one, f"{one}.{case.namespace}", f"{one}.{case.namespace}.svc"):
            is_found(case, name, short, ip)
        resolves(case, name, f"_http._tcp.{full(case, one)}", r"service = \d+ \d+ 80 ", "srv")


@row(363, "DNS, custom dnsConfig")
def test_name_servers_and_search_domains_of_the_pod_replace_the_cluster_s(case: Case) -> None:
    own = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"]}
    for command, expected in (("dns-suffix", "resolv.conf.local"), ("dns-server-list", "1.1.1.1")):
        made = once(command, container(case.images.agnhost, command), dnsPolicy="None", dnsConfig=own)
        assert case.output(made).strip() == expected
