"""The node agent as a program: flags, clean stop on SIGTERM (containers go on), exit code."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from nodeagent import machine, node
from nodeagent.agent import Agent
from nodeagent.eviction.thresholds import DEFAULT_HARD, EvictionConfig, parse_config, parse_seconds
from nodeagent.garbagecollection.policy import ImagePolicy
from nodeagent.pods.podrequests import amount
from nodeagent.pods.shutdown import parse_periods, periods
from nodeagent.settings import Settings
from tiphys.api.quantity import value
from tiphys.clock import SystemClock
from tiphys.logs import fields, setup

DATA_DIR = "/var/lib/tiphys/node"


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nodeagent", description="Runs the pods of one node.")
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--data-dir", default=DATA_DIR, metavar="DIR", help="belongs to this agent alone")
    parser.add_argument("--node-name", default="", metavar="NAME", help="default: this machine's name")
    parser.add_argument("--node-ip", default="", metavar="IP[,IP]", help="default: the address of the default route")
    parser.add_argument("--node-labels", default="", metavar="K=V,...")
    parser.add_argument(
        "--pki-dir", default="", metavar="DIR", help="where node-NAME.crt, node-NAME.key and ca.crt are"
    )
    parser.add_argument("--tls-cert-file", default="", metavar="FILE")
    parser.add_argument("--tls-private-key-file", default="", metavar="FILE")
    parser.add_argument("--client-ca-file", default="", metavar="FILE")
    parser.add_argument("--bind-address", default="0.0.0.0", metavar="IP")
    parser.add_argument("--port", type=int, default=10250)
    parser.add_argument("--pod-cidr", default="10.244.0.0/24", metavar="CIDR", help="when the Node has none")
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", metavar="CIDR", help="not hidden behind the node")
    parser.add_argument("--cluster-dns", default="", metavar="IP[,IP]")
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN")
    parser.add_argument("--dns-upstreams", default="", metavar="IP[:PORT],...", help="default: this machine's own")
    parser.add_argument("--dns-stub-domain", action="append", default=[], metavar="DOMAIN=IP[:PORT],...")
    parser.add_argument("--dns-stale-seconds", type=float, default=3600.0, metavar="N", help="0: no stale answers")
    parser.add_argument("--bridge-name", default="tiphys0", metavar="NAME")
    parser.add_argument("--nftables-table", default="tiphys", metavar="NAME")
    parser.add_argument("--cgroup-root", default="tiphys", metavar="NAME")
    parser.add_argument("--container-log-max-size", default="10Mi", metavar="SIZE", help="rotate longer logs")
    parser.add_argument("--container-log-max-files", type=int, default=5, metavar="N", help="at least 2")
    parser.add_argument("--allowed-unsafe-sysctls", default="", metavar="NAME,...", help="a * at the end is a prefix")
    parser.add_argument("--pod-manifest-path", default="", metavar="DIR", help="static pods: one manifest per file")
    _resource_arguments(parser)
    parser.add_argument("--shutdown-grace-period", type=float, default=30.0, metavar="SECONDS", help="after SIGPWR")
    parser.add_argument("--shutdown-grace-period-critical-pods", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--shutdown-grace-period-by-pod-priority", default="", metavar="PRIORITY=SECONDS,...")
    parser.add_argument("--registry-config", default="", metavar="FILE", help="JSON: insecure, mirrors, caFiles")
    _ingress_arguments(parser)
    parser.add_argument("--image-network", default="", metavar="FILE", help="network namespace to pull images from")
    parser.add_argument("--request-certificate", action="store_true", help="ask the cluster for the server's")
    return parser.parse_args(words)


def _ingress_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-ingress", action="store_true", help="another controller serves Ingresses")
    parser.add_argument("--ingress-address", default="", metavar="IP", help="default: all of this machine's")
    parser.add_argument("--ingress-http-port", type=int, default=80, metavar="N")
    parser.add_argument("--ingress-https-port", type=int, default=443, metavar="N")
    parser.add_argument("--ingress-metrics-port", type=int, default=10254, metavar="N", help="-1: none")


def _resource_arguments(parser: argparse.ArgumentParser) -> None:
    """What pods may take of the node, and what happens when it runs out; the kubelet's flags and defaults."""
    parser.add_argument("--max-pods", type=int, default=machine.MAX_PODS, metavar="N")
    for name in ("system", "kube"):
        parser.add_argument(f"--{name}-reserved", default="", metavar="cpu=200m,memory=1Gi", help="not for pods")
    parser.add_argument("--eviction-hard", default=DEFAULT_HARD, metavar="SIGNAL<AMOUNT,...")
    parser.add_argument("--eviction-soft", default="", metavar="SIGNAL<AMOUNT,...")
    parser.add_argument("--eviction-soft-grace-period", default="", metavar="SIGNAL=1m30s,...")
    parser.add_argument("--eviction-minimum-reclaim", default="", metavar="SIGNAL=AMOUNT,...")
    parser.add_argument("--eviction-pressure-transition-period", default="5m", metavar="TIME")
    parser.add_argument("--eviction-max-pod-grace-period", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--image-gc-high-threshold", type=int, default=85, metavar="PERCENT", help="of the disk in use")
    parser.add_argument("--image-gc-low-threshold", type=int, default=80, metavar="PERCENT")
    parser.add_argument("--minimum-image-ttl-duration", default="2m", metavar="TIME")
    parser.add_argument("--image-maximum-gc-age", default="0s", metavar="TIME", help="unused for longer; 0s: never")


def _eviction(arguments: argparse.Namespace) -> EvictionConfig:
    return parse_config(
        arguments.eviction_hard,
        arguments.eviction_soft,
        arguments.eviction_soft_grace_period,
        arguments.eviction_minimum_reclaim,
        transition_seconds=parse_seconds(arguments.eviction_pressure_transition_period),
        max_pod_grace_seconds=arguments.eviction_max_pod_grace_period,
    )


def _image_policy(arguments: argparse.Namespace) -> ImagePolicy:
    return ImagePolicy(
        arguments.image_gc_high_threshold,
        arguments.image_gc_low_threshold,
        parse_seconds(arguments.minimum_image_ttl_duration),
        parse_seconds(arguments.image_maximum_gc_age),
    )


def _reserved(*texts: str) -> dict[str, int]:
    """The sums of "cpu=200m,memory=1Gi"."""
    total: dict[str, int] = {}
    for name, _, text in (part.partition("=") for whole in texts for part in whole.split(",") if part):
        total[name] = total.get(name, 0) + amount(name, text)
    return total


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The flags as Settings, with the defaults that depend on the machine."""
    name = arguments.node_name or node.default_name()
    pki = Path(arguments.pki_dir or "/var/lib/tiphys/pki")
    return Settings(
        data_dir=Path(arguments.data_dir).absolute(),
        kubeconfig=arguments.kubeconfig,
        node_name=name,
        node_ips=tuple((arguments.node_ip or machine.default_address()).split(",")),
        pki_dir=pki,
        tls_cert_file=Path(arguments.tls_cert_file or pki / f"node-{name}.crt"),
        tls_private_key_file=Path(arguments.tls_private_key_file or pki / f"node-{name}.key"),
        client_ca_file=Path(arguments.client_ca_file or pki / "ca.crt"),
        bind_address=arguments.bind_address,
        port=arguments.port,
        pod_cidr=arguments.pod_cidr,
        cluster_cidr=arguments.cluster_cidr,
        cluster_dns=tuple(part for part in arguments.cluster_dns.split(",") if part),
        cluster_domain=arguments.cluster_domain,
        dns_upstreams=tuple(part for part in arguments.dns_upstreams.split(",") if part),
        dns_stub_domains=tuple(arguments.dns_stub_domain),
        dns_stale_seconds=arguments.dns_stale_seconds,
        ingress=not arguments.no_ingress,
        ingress_address=arguments.ingress_address,
        ingress_http_port=arguments.ingress_http_port,
        ingress_https_port=arguments.ingress_https_port,
        ingress_metrics_port=arguments.ingress_metrics_port,
        bridge_name=arguments.bridge_name,
        table_name=arguments.nftables_table,
        cgroup_root=arguments.cgroup_root,
        request_certificate=arguments.request_certificate,
        image_network=Path(arguments.image_network) if arguments.image_network else None,
        registry_config=Path(arguments.registry_config) if arguments.registry_config else None,
        container_log_max_bytes=value(arguments.container_log_max_size),
        container_log_max_files=arguments.container_log_max_files,
        allowed_unsafe_sysctls=tuple(part for part in arguments.allowed_unsafe_sysctls.split(",") if part),
        pod_manifest_path=Path(arguments.pod_manifest_path).absolute() if arguments.pod_manifest_path else None,
        shutdown_periods=_shutdown_periods(arguments),
        max_pods=arguments.max_pods,
        reserved=_reserved(arguments.system_reserved, arguments.kube_reserved),
        eviction=_eviction(arguments),
        image_policy=_image_policy(arguments),
        labels=dict(part.split("=", 1) for part in arguments.node_labels.split(",") if "=" in part),
    )


def _shutdown_periods(arguments: argparse.Namespace) -> tuple[tuple[int, float], ...]:
    if arguments.shutdown_grace_period_by_pod_priority:
        return tuple(parse_periods(arguments.shutdown_grace_period_by_pod_priority))
    return tuple(periods(arguments.shutdown_grace_period, arguments.shutdown_grace_period_critical_pods))


async def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; 1 when the agent itself ended.  SIGPWR ends the node's pods before that."""
    log = setup("nodeagent")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    node_agent = Agent(settings, SystemClock())
    agent = asyncio.create_task(node_agent.run(), name="agent")
    stopping = asyncio.create_task(stopped.wait())

    async def shut_down() -> None:
        await node_agent.shut_down()
        stopped.set()

    shutdowns: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGPWR, lambda: shutdowns.append(asyncio.create_task(shut_down())))
    await asyncio.wait({agent, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failed = agent.done()
    agent.cancel()
    stopping.cancel()
    (result, _) = await asyncio.gather(agent, stopping, return_exceptions=True)
    if failed:
        log.error("the agent ended", extra=fields(cause=repr(result)))
    else:
        log.info("stopped")
    return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    return asyncio.run(serve(settings_of(_arguments(argv))))
