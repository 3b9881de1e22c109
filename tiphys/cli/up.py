"""`tiphys up`: start every part of a cluster on this machine.  The only place that starts all components.

Idempotent: a running cluster is left running and only waited for.  The steps are numbered, and the last line says what
to type next.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

from tiphys.cli import segments
from tiphys.cli.cluster import (
    CLUSTER_CIDR,
    CLUSTER_DOMAIN,
    CLUSTER_DOMAIN_HOSTS,
    CONTROLLERS_PORT,
    DEFAULT_DATA_DIR,
    DNS_ADDRESS,
    FIRST_SERVICE_ADDRESS,
    SCHEDULER_PORT,
    SERVICE_CIDR,
    Layout,
    Options,
)
from tiphys.cli.errors import CommandError
from tiphys.cli.readiness import wait_ready
from tiphys.cli.supervisor import Program
from tiphys.clock import SystemClock

READY_SECONDS = 60.0
PERMISSION_EXIT_CODE = 27
MAX_NODES = 64
NODE_PROGRAMS = {"crun": "crun", "conmon": "conmon", "nft": "nftables"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", default=DEFAULT_DATA_DIR, metavar="DIR", help="where everything is kept")
    parser.add_argument("--store", default="sqlite", metavar="STORE", help="sqlite, etcd, or etcd://HOST:PORT,...")
    parser.add_argument("--kubeconfig", metavar="FILE", help="also write the admin's kubeconfig to FILE")
    parser.add_argument("--bind-address", default="127.0.0.1", metavar="IP", help="where the API server listens")
    parser.add_argument("--port", type=int, default=6443, metavar="N", help="the API server's port")
    parser.add_argument("--no-node", action="store_true", help="API server and controllers only: pods stay Pending")
    parser.add_argument("--fake-nodes", type=int, default=0, metavar="N", help="add N simulated nodes")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes on this machine, each with a network")
    parser.add_argument("--registry-config", default="", metavar="FILE", help="JSON: insecure, mirrors, caFiles")
    parser.add_argument("--node-name", default="", metavar="NAME", help="the node's name; this machine's by default")
    parser.add_argument("--no-ingress", action="store_true", help="without the built-in Ingress controller")
    parser.add_argument("--node-flags", default="", metavar="TEXT", help="more flags for the node agents")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground; Ctrl-C stops the cluster")


def run(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    layout = Layout(Path(options.data_dir))
    _check_directory(layout)
    say = Steps(total=4)
    if layout.supervisor_pid() is not None:
        running = layout.load_options() or options
        say(f"a cluster is already running in {layout.root}")
        return _finish(arguments, running, layout, say)
    _preflight(options)
    options = _with_free_ports(options)
    say(f"certificates and kubeconfigs in {layout.root}")
    layout.make()
    if options.nodes > 1:
        options = segments.make(options, layout)
    prepare(options, layout)
    say("starting " + ", ".join(program.name for program in programs(options, layout)))
    _start(options, layout, foreground=arguments.foreground)
    return _finish(arguments, options, layout, say)


class Steps:
    """Plain numbered lines, the same on a terminal and in a log."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def __call__(self, text: str) -> None:
        self._done += 1
        print(f"[{self._done}/{self._total}] {text}", flush=True)


def _check_directory(layout: Layout) -> None:
    known = layout.load_options()
    if known is not None and known.join:
        raise CommandError(f"{layout.root} belongs to a node of {known.join}; give another --data-dir")


def _options(arguments: argparse.Namespace) -> Options:
    if arguments.fake_nodes < 0:
        raise CommandError("--fake-nodes must not be negative")
    if not 1 <= arguments.nodes <= MAX_NODES or (arguments.no_node and arguments.nodes > 1):
        raise CommandError(f"--nodes must be between 1 and {MAX_NODES}, and 1 together with --no-node")
    try:
        ipaddress.ip_address(arguments.bind_address)
    except ValueError as error:
        raise CommandError(f"--bind-address {arguments.bind_address!r} is not an IP address") from error
    return Options(
        data_dir=str(Path(arguments.data_dir).absolute()),
        store=arguments.store,
        bind_address=arguments.bind_address,
        port=arguments.port,
        node=not arguments.no_node,
        fake_nodes=arguments.fake_nodes,
        node_name=arguments.node_name or socket.gethostname().lower(),
        nodes=arguments.nodes,
        node_flags=arguments.node_flags,
        ingress=not arguments.no_ingress,
        registry_config=str(Path(arguments.registry_config).absolute()) if arguments.registry_config else "",
    )


def _with_free_ports(options: Options) -> Options:
    """A second cluster on one machine finds the usual ports of metrics and health taken: it gets others, which
    `tiphys status` names."""
    return replace(
        options,
        controllers_port=_port_or_another(CONTROLLERS_PORT),
        scheduler_port=_port_or_another(SCHEDULER_PORT),
    )


def _port_or_another(usual: int) -> int:
    try:
        return _free_port("127.0.0.1", usual)
    except OSError:
        return _free_port("127.0.0.1", 0)


def _free_port(address: str, port: int) -> int:
    """`port` when it can be listened on (0: any).  Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        number: int = probe.getsockname()[1]
    return number


def check_node_programs(advice: str = "run as root") -> None:
    """Whether this machine can be a node.  Raises CommandError."""
    if os.geteuid() != 0:
        raise CommandError(f"running containers needs root; {advice}", exit_code=PERMISSION_EXIT_CODE)
    missing = [package for program, package in NODE_PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise CommandError(f"{', '.join(missing)} not found; install: apt-get install -y {' '.join(missing)}")


def _preflight(options: Options) -> None:
    """Refuse with advice what would only fail later and less clearly."""
    if options.node:
        check_node_programs("run as root, or use --no-node")
    if options.store == "etcd" and shutil.which("etcd") is None:
        raise CommandError("etcd not found; install: apt-get install -y etcd-server, or use --store sqlite")
    try:
        _free_port(options.bind_address, options.port)
    except OSError as error:
        raise CommandError(
            f"cannot listen on {options.bind_address} port {options.port}: {error.strerror}; "
            "choose another with --port, or stop what listens there"
        ) from error


def node_address(options: Options) -> str:
    """The address the first node is known by: the one towards the other nodes of this machine if there are any, else
    the bind address where it is a specific one, else this machine's own."""
    if options.segment:
        return segments.of(options).address(1)
    bind = ipaddress.ip_address(options.bind_address)
    if not bind.is_loopback and not bind.is_unspecified:
        return options.bind_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the kernel which source address it would use
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
    return address


def prepare(options: Options, layout: Layout) -> None:
    """Make the certificates, the kubeconfigs and the record of the options.  Idempotent."""
    from tiphys import pki
    from tiphys.client.kubeconfig import write_kubeconfig

    address = node_address(options)
    hosts = ["localhost", "127.0.0.1", FIRST_SERVICE_ADDRESS, address, *CLUSTER_DOMAIN_HOSTS]
    if not ipaddress.ip_address(options.bind_address).is_unspecified:
        hosts.append(options.bind_address)
    identities = pki.cluster_identities(list(dict.fromkeys(hosts)))
    for number, name in enumerate(options.node_names, 1):
        own = segments.address(options, number) if options.segment else address
        identities.append(pki.node_identity(name, list(dict.fromkeys([own, "127.0.0.1"]))))
    pki.ensure(layout.pki, identities, SystemClock())
    for identity in identities:
        if identity.client and identity.file != "apiserver-kubelet-client":
            write_kubeconfig(
                layout.kubeconfig(identity.file),
                server=segments.server_url(options) if identity.file.startswith("node-") else options.server_url,
                ca=(layout.pki / "ca.crt").read_bytes(),
                cert=(layout.pki / f"{identity.file}.crt").read_bytes(),
                key=(layout.pki / f"{identity.file}.key").read_bytes(),
            )
    layout.save_options(options)


def programs(options: Options, layout: Layout) -> list[Program]:
    """The components of this cluster with their command lines.  Those that need the API server stop before it."""
    pki = str(layout.pki)
    result = []
    result.append(
        Program(
            "apiserver",
            "apiserver.program",
            (
                *("--data-dir", str(layout.root), "--store", options.store, "--pki-dir", pki),
                *("--bind-address", segments.listen(options), "--port", str(options.port)),
                *("--advertise-address", node_address(options), "--service-cluster-ip-range", SERVICE_CIDR),
            ),
            2,
        )
    )
    flags: tuple[str, ...] = ("--fake-nodes", str(options.fake_nodes)) if options.fake_nodes else ()
    ranges = ("--cluster-cidr", CLUSTER_CIDR)
    for name, port in (("controllers", options.controllers_port), ("scheduler", options.scheduler_port)):
        if name == "scheduler" and not (options.node or options.fake_nodes):
            continue
        arguments = ("--kubeconfig", str(layout.kubeconfig(name)), "--data-dir", str(layout.root), "--pki-dir", pki)
        more = ("--port", str(port), *((*flags, *ranges) if name == "controllers" else ()))
        result.append(Program(name, f"{name}.program", arguments + more, 1))
    for number, name in enumerate(options.node_names, 1):
        program = "nodeagent" if number == 1 else f"nodeagent-{number}"
        namespace = "" if number == 1 else str(layout.namespace(number))
        words = node_arguments(options, layout, number, name)
        result.append(Program(program, "nodeagent.program", words, 1, namespace))
    return result


def node_arguments(options: Options, layout: Layout, number: int, name: str) -> tuple[str, ...]:
    address = segments.address(options, number) if options.segment else node_address(options)
    more: tuple[str, ...] = ("--registry-config", options.registry_config) if options.registry_config else ()
    if number > 1:
        more += ("--image-network", str(layout.namespace(1)))
    if not options.ingress:
        more += ("--no-ingress",)
    return (
        *more,
        *("--kubeconfig", str(layout.kubeconfig(f"node-{name}")), "--data-dir", str(layout.node_dir(number))),
        *("--node-name", name, "--node-ip", address, "--pki-dir", str(layout.pki)),
        *("--pod-cidr", "", "--cluster-cidr", CLUSTER_CIDR, "--cgroup-root", layout.node_cgroup_root(number)),
        *("--cluster-dns", DNS_ADDRESS, "--cluster-domain", CLUSTER_DOMAIN),
        *shlex.split(options.node_flags),
    )


def _start(options: Options, layout: Layout, *, foreground: bool) -> None:
    from tiphys.cli import supervisor

    supervisor.preload()
    try:
        if foreground:
            supervisor.write_pid(supervisor.take_lock(layout.lock))
            daemon = _watcher()
        else:
            daemon = supervisor.daemonize(layout.lock, layout.logs / "supervisor.log")
    except BlockingIOError as error:
        raise CommandError(f"another cluster is being started in {layout.root}") from error
    if daemon is None:
        code = supervisor.Supervisor(programs(options, layout), layout.logs, layout.components, SystemClock()).run()
        os._exit(code)


def _watcher() -> int | None:
    """In the foreground the supervisor is this very process, and a child says when the cluster is ready."""
    return os.getpid() if os.fork() == 0 else None


def _finish(arguments: argparse.Namespace, options: Options, layout: Layout, say: Steps) -> int:
    say("waiting until the API server" + (" and the node are ready" if options.node else " is ready"))
    seconds = wait_ready(options, layout, READY_SECONDS)
    if options.node:
        from tiphys.cli import addons

        addons.install(layout, ingress=options.ingress)
    admin = layout.kubeconfig("admin")
    if arguments.kubeconfig:
        target = Path(arguments.kubeconfig)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(admin.read_bytes())
    say(f"ready after {seconds:.1f} s at {options.server_url}")
    print(f"\nkubeconfig: {admin}\n\nNext, type:\n  export KUBECONFIG={admin}")
    print("  tiphys get nodes\n  tiphys apply -f app.yaml")
    sys.stdout.flush()
    return 0
