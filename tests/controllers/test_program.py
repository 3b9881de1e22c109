"""The controllers as a process: they lead, serve, collect, and stop cleanly."""

import asyncio
import signal
import sys
from pathlib import Path

from tests.client.server import config_of, eventually
from tests.client.test_serving import fetch
from tiphys.api.coordination.lease import Lease
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.config import ClientConfig
from tiphys.client.errors import ApiError
from tiphys.client.kubeconfig import write_kubeconfig
from tiphys.client.rest import Client


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_program_works_as_its_own_identity_and_ends_with_zero_on_sigterm(
    client: Client, admin_config: ClientConfig, pki_dir: Path, tmp_path: Path
) -> None:
    port = int(admin_config.server.rpartition(":")[2])
    own = config_of(pki_dir, port, "controllers")
    kubeconfig = tmp_path / "controllers.kubeconfig"
    write_kubeconfig(kubeconfig, own.server, own.ca_data, own.client_cert_data, own.client_key_data)
    diagnostics = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controllers", "--kubeconfig", str(kubeconfig), "--pki-dir", str(pki_dir)),
        *("--port", str(diagnostics), "--data-dir", str(tmp_path)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:

        async def works() -> bool:
            assert process.returncode is None, (await process.communicate())[1].decode()
            try:
                await client.get(ServiceAccount, "default", "default")
                status, _ = await fetch(diagnostics, "/readyz", None)
            except (ApiError, OSError):
                return False
            return status == 200

        await eventually(works, "the default ServiceAccount and readiness")
        status, text = await fetch(diagnostics, "/metrics", own.ssl_context())
        assert status == 200
        assert 'leader_election_master_status{name="kube-controller-manager"} 1.0' in text
        assert 'workqueue_adds_total{name="service-account"}' in text
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0, log.decode()
        assert (await client.get(Lease, "kube-controller-manager", "kube-system")).spec.holderIdentity == ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
