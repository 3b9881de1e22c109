"""The node agent as a program: flags, clean stop on SIGTERM (containers go on), exit code."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from nodeagent import machine, node
from nodeagent.agent import Agent
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
    parser.add_argument("--pod-cidr", default="10.244.0.0/24", metavar="CIDR", help="used when the Node has none")
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", metavar="CIDR", help="not hidden behind the node")
    parser.add_argument("--cluster-dns", default="", metavar="IP[,IP]")
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN")
    parser.add_argument("--bridge-name", default="tiphys0", metavar="NAME")
    parser.add_argument("--nftables-table", default="tiphys", metavar="NAME")
    parser.add_argument("--cgroup-root", default="tiphys", metavar="NAME")
    parser.add_argument("--container-log-max-size", default="10Mi", metavar="SIZE", help="rotate longer logs")
    parser.add_argument("--container-log-max-files", type=int, default=5, metavar="N", help="at least 2")
    parser.add_argument("--allowed-unsafe-sysctls", default="", metavar="NAME,...", help="a * at the end is a prefix")
    parser.add_argument("--pod-manifest-path", default="", metavar="DIR", help="static pods: one manifest per file")
    parser.add_argument("--shutdown-grace-period", type=float, default=30.0, metavar="SECONDS", help="after SIGPWR")
    parser.add_argument("--shutdown-grace-period-critical-pods", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--shutdown-grace-period-by-pod-priority", default="", metavar="PRIORITY=SECONDS,...")
    parser.add_argument("--registry-config", default="", metavar="FILE", help="JSON: insecure, mirrors, caFiles")
    return parser.parse_args(words)


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
        bridge_name=arguments.bridge_name,
        table_name=arguments.nftables_table,
        cgroup_root=arguments.cgroup_root,
        registry_config=Path(arguments.registry_config) if arguments.registry_config else None,
        container_log_max_bytes=value(arguments.container_log_max_size),
        container_log_max_files=arguments.container_log_max_files,
        allowed_unsafe_sysctls=tuple(part for part in arguments.allowed_unsafe_sysctls.split(",") if part),
        pod_manifest_path=Path(arguments.pod_manifest_path).absolute() if arguments.pod_manifest_path else None,
        shutdown_periods=_shutdown_periods(arguments),
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
