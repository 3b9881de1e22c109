"""Removes everything an agent has made on its machine: containers, namespaces, mounts, cgroups, bridge, nftables table.

For `tiphys down`: the agent is stopped already.  Images and logs stay; they are below the data directory.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from nodeagent.dns import running as dns
from nodeagent.network import routes
from nodeagent.network.pods import NetworkConfig, PodNetwork
from nodeagent.policy import keeper as policies
from nodeagent.runtime.cgroups import Cgroups
from nodeagent.runtime.engine import ConmonRuntime
from nodeagent.runtime.interface import RuntimeFailure
from nodeagent.runtime.sandbox import PodSandboxes
from nodeagent.services import nftables, ruleset
from nodeagent.services.ruleset import TableConfig
from nodeagent.settings import Footprint, policies_table_name, services_table_name
from nodeagent.volumes.teardown import mounts_below, remove_tree


def teardown(data_dir: Path) -> list[str]:
    """Take down the agent of `data_dir`; returns what could not be removed, as text for people."""
    footprint = Footprint.read(data_dir)
    return [] if footprint is None else asyncio.run(_teardown(data_dir, footprint))


async def _teardown(data_dir: Path, footprint: Footprint) -> list[str]:
    left: list[str] = []
    run_dir = data_dir / "run"
    network = PodNetwork(
        NetworkConfig(
            state_dir=run_dir / "network",
            pod_cidr=footprint.network,
            bridge=footprint.bridge_name,
            table=footprint.table_name,
        )
    )
    try:
        runtime = ConmonRuntime(data_dir / "runtime", Cgroups(footprint.cgroup_root))
        await runtime.open()
        await runtime.teardown_all()
        runtime.close()
    except (RuntimeFailure, OSError) as error:
        left.append(f"containers ({error})")
    try:
        sandboxes = PodSandboxes(run_dir / "sandboxes", network)
        await sandboxes.open()
        await sandboxes.teardown_all()
        await network.teardown()
        await asyncio.to_thread(routes.clear, routes.DEVICE)
    except (RuntimeFailure, OSError) as error:
        left.append(f"pod network ({error})")
    try:
        table = TableConfig(services_table_name(footprint.table_name))
        await asyncio.to_thread(nftables.apply, ruleset.remove(table))
    except (nftables.FirewallError, OSError) as error:
        left.append(f"services ({error})")
    try:
        await asyncio.to_thread(dns.teardown, footprint.bridge_name)
        await asyncio.to_thread(policies.remove, policies_table_name(footprint.table_name))
    except (nftables.FirewallError, OSError) as error:
        left.append(f"DNS and network policies ({error})")
    try:
        remove_tree(data_dir / "pods")
    except OSError as error:
        left.append(f"volumes ({error})")
    return left + [f"mount {target}" for target in mounts_below(data_dir)]
