"""`tiphys join URL --token TOKEN`: make this machine a node of a cluster that runs elsewhere.

What must stay true: nothing that the server says is believed before its CA has the hash that the token carries and
cluster-info is signed with the token; the node's keys are made here and stay here.  May be repeated.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tiphys.cli.cluster import CLUSTER_CIDR, DEFAULT_DATA_DIR, Layout, Options
from tiphys.cli.errors import CommandError, ServerError
from tiphys.cli.readiness import node_ready
from tiphys.cli.server import Server
from tiphys.cli.supervisor import Program
from tiphys.cli.token import TOKEN, ca_hash
from tiphys.cli.up import Steps, check_node_programs
from tiphys.client.config import ClientConfig
from tiphys.clock import SystemClock

CONNECT_SECONDS = 10.0
APPROVAL_SECONDS = 60.0
READY_SECONDS = 60.0
PAUSE_SECONDS = 0.1
CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", metavar="URL", help="of the API server, https://HOST:6443")
    parser.add_argument("--token", required=True, metavar="TOKEN", help="what `tiphys token create` printed")
    parser.add_argument("--data-dir", default=DEFAULT_DATA_DIR, metavar="DIR", help="where everything is kept")
    parser.add_argument("--node-name", default="", metavar="NAME", help="the node's name; this machine's by default")
    parser.add_argument("--node-ip", default="", metavar="IP", help="default: the address towards the API server")
    parser.add_argument("--registry-config", default="", metavar="FILE", help="JSON: insecure, mirrors, caFiles")


def run(arguments: argparse.Namespace) -> int:
    token_id, token_secret, wanted_hash = parse_token(arguments.token)
    options = _options(arguments)
    layout = Layout(Path(options.data_dir))
    say = Steps(total=4)
    _check_directory(layout, options)
    check_node_programs()
    say(f"checking the cluster at {options.join}")
    ca = trusted_ca(fetch_cluster_info(options.join), wanted_hash, token_id, token_secret, options.join)
    layout.make()
    say(f"a certificate for the node {options.node_name}")
    _identify(options, layout, ca, f"{token_id}.{token_secret}")
    say("starting nodeagent")
    layout.save_options(options)
    if layout.supervisor_pid() is None:
        _start(options, layout)
    seconds = _wait_ready(options, layout)
    say(f"node {options.node_name} is ready after {seconds:.1f} s")
    print(f"\nTo leave the cluster again:\n  tiphys down --data-dir {layout.root}")
    return 0


def parse_token(text: str) -> tuple[str, str, str]:
    """(id, secret, hash of the CA).  Raises CommandError."""
    match = TOKEN.fullmatch(text)
    if match is None:
        raise CommandError("the token must be ID.SECRET.HASH as `tiphys token create` prints it")
    return match[1], match[2], match[3]


def _options(arguments: argparse.Namespace) -> Options:
    parts = urlsplit(arguments.server)
    try:
        port = parts.port or 6443
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port or parts.path not in ("", "/"):
        raise CommandError(f'"{arguments.server}" is not the URL of an API server; give one such as https://HOST:6443')
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Options(
        data_dir=str(Path(arguments.data_dir).absolute()),
        store="",
        bind_address="127.0.0.1",
        port=port,
        node=True,
        fake_nodes=0,
        node_name=arguments.node_name or socket.gethostname().lower(),
        join=f"https://{host}:{port}",
        node_ip=arguments.node_ip or _own_address(parts.hostname, port),
        registry_config=str(Path(arguments.registry_config).absolute()) if arguments.registry_config else "",
    )


def _own_address(host: str, port: int) -> str:
    """This machine's address towards the API server.  Raises CommandError."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(where)  # sends nothing
            address: str = probe.getsockname()[0]
    except OSError as error:
        raise CommandError(f"cannot reach {host} port {port}: {error.strerror or error}") from error
    return address


def _check_directory(layout: Layout, options: Options) -> None:
    known = layout.load_options() if layout.root.exists() else None
    if known is not None and known.join != options.join:
        kind = f"a node of {known.join}" if known.join else "a cluster of its own"
        raise CommandError(f"{layout.root} already belongs to {kind}; give another --data-dir, or: tiphys down --purge")


def fetch_cluster_info(url: str) -> dict[str, str]:
    """The data of kube-public/cluster-info, from whoever answers: nothing of it is to be believed yet."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=CONNECT_SECONDS, context=context
    )
    try:
        connection.request("GET", CLUSTER_INFO, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(1 << 20)
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"cannot reach {url}: {getattr(error, 'strerror', None) or error}") from error
    finally:
        connection.close()
    if answer.status == 404:
        raise CommandError(f"{url} has no cluster-info yet; is its cluster just starting?")
    try:
        data: dict[str, str] = json.loads(body)["data"] if answer.status == 200 else {}
    except (ValueError, KeyError, TypeError):
        data = {}
    if not data.get("kubeconfig"):
        raise CommandError(f"{url} does not answer as an API server of a cluster to join (HTTP {answer.status})")
    return data


def trusted_ca(info: dict[str, str], wanted_hash: str, token_id: str, token_secret: str, url: str) -> bytes:
    """The cluster's CA as PEM, once hash and signature say that it is the one the token was made for."""
    content = info["kubeconfig"]
    try:
        import yaml

        ca = base64.b64decode(yaml.safe_load(content)["clusters"][0]["cluster"]["certificate-authority-data"])
        found_hash = ca_hash(ca)
    except (ValueError, KeyError, TypeError, IndexError, yaml.YAMLError) as error:
        raise CommandError(f"cluster-info of {url} names no CA") from error
    if not hmac.compare_digest(found_hash, wanted_hash):
        raise CommandError(
            f"the CA of {url} is not the one the token was made for: its hash is {found_hash}, the token has "
            f"{wanted_hash}; this may be another cluster, or somebody between it and this machine"
        )
    signature = info.get(f"jws-kubeconfig-{token_id}", "")
    if not signature:
        raise CommandError(f"token {token_id} is unknown to the cluster or has expired; make one: tiphys token create")
    if not hmac.compare_digest(signature, _signature(content, token_id, token_secret)):
        raise CommandError(f"token {token_id} does not have that secret: cluster-info is signed with another one")
    return ca


def _signature(content: str, token_id: str, token_secret: str) -> str:
    """A detached JWS (HS256), as the cluster makes it for each token."""
    header = _encoded(f'{{"alg":"HS256","kid":"{token_id}"}}'.encode())
    signed = f"{header}.{_encoded(content.encode())}".encode()
    return f"{header}..{_encoded(hmac.new(token_secret.encode(), signed, hashlib.sha256).digest())}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _identify(options: Options, layout: Layout, ca: bytes, token: str) -> None:
    """The node's kubeconfig is there and is believed by the cluster afterwards."""
    from nodeagent import bootstrap
    from tiphys.client.kubeconfig import write_kubeconfig

    bootstrap.write(layout.pki / "ca.crt", ca, 0o644)
    if _known(options, layout):
        return
    server = Server(ClientConfig(server=options.join, ca_data=ca, token=token))
    key, csr = bootstrap.request(options.node_name)
    try:
        made = server.json("POST", REQUESTS, body=bootstrap.signing_request(csr, bootstrap.CLIENT_SIGNER))[1]
        certificate = _signed(server, made["metadata"]["name"])
    except ServerError as error:
        if error.code == 401:
            cause = "the token has expired or was deleted; make another: tiphys token create"
            raise CommandError(cause) from error
        raise
    identity = Server(ClientConfig(server=options.join, ca_data=ca, client_cert_data=certificate, client_key_data=key))
    if ready(identity, options.node_name)[0]:
        raise CommandError(f"the cluster already has a node {options.node_name} that is ready; choose --node-name")
    target = layout.kubeconfig(f"node-{options.node_name}")
    write_kubeconfig(target, options.join, ca, certificate, key, user=f"system:node:{options.node_name}")


def _signed(server: Server, name: str) -> bytes:
    """Wait for the certificate of a request."""
    from nodeagent.bootstrap import outcome

    clock = SystemClock()
    deadline = clock.monotonic() + APPROVAL_SECONDS
    while clock.monotonic() < deadline:
        certificate, cause = outcome(server.get(f"{REQUESTS}/{name}").get("status", {}))
        if cause:
            raise CommandError(f"the cluster refuses a certificate for the node: {cause}")
        if certificate:
            return certificate
        time.sleep(PAUSE_SECONDS)
    raise CommandError(f"nobody approved the request {name}; approve it with: kubectl certificate approve {name}")


def _known(options: Options, layout: Layout) -> bool:
    """Whether the certificate of an earlier join is still good."""
    kubeconfig = layout.kubeconfig(f"node-{options.node_name}")
    if not kubeconfig.exists():
        return False
    try:
        ready(node_server(options, layout), options.node_name)
    except CommandError:
        return False
    return True


def node_server(options: Options, layout: Layout) -> Server:
    """The API server as the node itself sees it."""
    from tiphys.client.kubeconfig import load_kubeconfig

    return Server(load_kubeconfig(str(layout.kubeconfig(f"node-{options.node_name}"))))


def ready(server: Server, node_name: str) -> tuple[bool, str]:
    """Whether the node is Ready, and what it says.  Raises CommandError."""
    try:
        node: dict[str, Any] = server.get(f"/api/v1/nodes/{node_name}")
    except ServerError as error:
        if error.code == 404:
            return False, "it has not registered yet"
        raise
    return node_ready(node)


def program(options: Options, layout: Layout) -> Program:
    name = options.node_name
    more = ("--registry-config", options.registry_config) if options.registry_config else ()
    words = (
        *more,
        *("--kubeconfig", str(layout.kubeconfig(f"node-{name}")), "--data-dir", str(layout.node)),
        *("--node-name", name, "--node-ip", options.node_ip, "--pki-dir", str(layout.pki)),
        *(
            "--request-certificate",
            "--pod-cidr",
            "",
            "--cluster-cidr",
            CLUSTER_CIDR,
            "--cgroup-root",
            layout.cgroup_root,
        ),
    )
    return Program("nodeagent", "nodeagent.program", words, 1)


def _start(options: Options, layout: Layout) -> None:
    from tiphys.cli import supervisor

    supervisor.preload()
    try:
        daemon = supervisor.daemonize(layout.lock, layout.logs / "supervisor.log")
    except BlockingIOError as error:
        raise CommandError(f"another node is being started in {layout.root}") from error
    if daemon is None:
        programs = [program(options, layout)]
        os._exit(supervisor.Supervisor(programs, layout.logs, layout.components, SystemClock()).run())


def _wait_ready(options: Options, layout: Layout) -> float:
    """Seconds until the node is ready.  Raises CommandError with the cause."""
    clock, server = SystemClock(), node_server(options, layout)
    start, cause = clock.monotonic(), ""
    while clock.monotonic() - start < READY_SECONDS:
        well, cause = ready(server, options.node_name)
        if well:
            return clock.monotonic() - start
        time.sleep(PAUSE_SECONDS)
    tail = "\n".join(f"  {line}" for line in layout.log_tail("nodeagent"))
    raise CommandError(f"the node is not ready: {cause}; the end of {layout.logs / 'nodeagent.log'}:\n{tail}")
