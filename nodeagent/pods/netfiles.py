"""The managed /etc/hosts and /etc/resolv.conf of a pod, as text.  Pure; upstream's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiphys.api.core.pod import Pod

_HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


@dataclass(frozen=True)
class ClusterDNS:
    """What ClusterFirst means on this node."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"
    host_resolv_conf: str = ""  # the node's own file


def hosts_file(pod: Pod, ips: Sequence[str], hostname: str, domain: str, node_hosts: str = "") -> str:
    """/etc/hosts of the pod; on the node's network it is the node's own file (`node_hosts`)."""
    if pod.spec.hostNetwork:
        text = "# Kubernetes-managed hosts file (host network).\n" + node_hosts
    else:
        names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
        text = _HOSTS + "".join(f"{ip}\t{names}\n" for ip in ips)
    if pod.spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in pod.spec.hostAliases)
    return text


def resolv_conf(pod: Pod, dns: ClusterDNS) -> str:
    """/etc/resolv.conf by dnsPolicy and dnsConfig."""
    servers, search, options = _by_policy(pod, dns)
    config = pod.spec.dnsConfig
    if config is not None:
        servers = list(dict.fromkeys([*servers, *config.nameservers]))
        search = list(dict.fromkeys([*search, *config.searches]))
        own = {o.name: o.value for o in config.options}
        merged: dict[str, str | None] = {}
        for option in options:
            name, _, value = option.partition(":")
            merged[name] = value if ":" in option else None
        merged.update(own)
        options = [name if value in (None, "") else f"{name}:{value}" for name, value in merged.items()]
    lines = []
    if search:
        lines.append("search " + " ".join(_fitting(search)))
    lines += [f"nameserver {server}" for server in servers[:3]]
    if options:
        lines.append("options " + " ".join(options))
    return "".join(line + "\n" for line in lines)


def _fitting(search: Sequence[str]) -> list[str]:
    """As many as a resolver takes: 32 domains, 2048 characters."""
    kept: list[str] = []
    for name in search[:32]:
        if len(" ".join([*kept, name])) > 2048:
            break
        kept.append(name)
    return kept


def _by_policy(pod: Pod, dns: ClusterDNS) -> tuple[list[str], list[str], list[str]]:
    policy = pod.spec.dnsPolicy or "ClusterFirst"
    if policy == "None":
        return [], [], []
    host_servers, host_search, host_options = parse_resolv_conf(dns.host_resolv_conf)
    cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.hostNetwork)
    if cluster and dns.servers:
        namespace = pod.metadata.namespace
        search = [f"{namespace}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain]
        return list(dns.servers), list(dict.fromkeys([*search, *host_search])), ["ndots:5"]
    return host_servers, host_search, host_options


def parse_resolv_conf(text: str) -> tuple[list[str], list[str], list[str]]:
    """Name servers, search domains and options of a resolv.conf."""
    servers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = [w.rstrip(".") or "." for w in words[1:]]
        elif words[0] == "options":
            options = words[1:]
    return servers, search, options
