"""`tiphys status`: whether the parts of this machine's cluster run, and what is wrong when they do not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tiphys.cli.cluster import DEFAULT_DATA_DIR, Layout, Options
from tiphys.cli.readiness import Asker, node_ready


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", default=DEFAULT_DATA_DIR, metavar="DIR", help="the cluster's directory")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when everything that should run is ready, else 1."""
    layout = Layout(Path(arguments.data_dir).absolute())
    options = layout.load_options()
    pid = layout.supervisor_pid()
    if options is None or pid is None:
        print(f"no cluster is running in {layout.root}; start one with: tiphys up")
        return 1
    print(f"cluster     {options.server_url}  store {options.store}  data {layout.root}")
    print(f"supervisor  running  pid {pid}")
    healthy = True
    for name, state in layout.component_states().items():
        running = bool(state["pid"])
        healthy = healthy and running
        text = f"running  pid {state['pid']}" if running else f"down     {state['lastExit']}, will be restarted"
        print(f"{name:<11} {text}  restarts {state['restarts']}{_diagnostics(options, name)}")
    if options.join:
        from tiphys.cli.join import node_server
        from tiphys.cli.join import ready as ask_ready

        ready, message = ask_ready(node_server(options, layout), options.node_name)
        print(f"node        {options.node_name}  {'Ready' if ready else 'NotReady: ' + message}")
        return 0 if healthy and ready else 1
    asker = Asker(options, layout)
    code, body = asker.get("/readyz?verbose")
    if code != 200:
        print(f"readyz      failed: {body.decode(errors='replace').strip()}")
        return 1
    print("readyz      ok")
    code, body = asker.get("/api/v1/nodes")
    for node in json.loads(body).get("items", []) if code == 200 else []:
        ready, message = node_ready(node)
        healthy = healthy and ready
        print(f"node        {node['metadata']['name']}  {'Ready' if ready else 'NotReady: ' + message}")
    return 0 if healthy else 1


def _diagnostics(options: Options, name: str) -> str:
    """Where a component answers /metrics and /healthz, when that is not the API server's own port."""
    port = {"controllers": options.controllers_port, "scheduler": options.scheduler_port}.get(name)
    return f"  metrics on port {port}" if port else ""
