"""The API server as a program: flags, signals, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from apiserver.assembly import ApiServer, Options
from apiserver.authentication.issuer import Issuer
from apiserver.server import BODY_SECONDS, IDLE_SECONDS
from apiserver.storage.compactor import INTERVAL_SECONDS
from apiserver.storage.store import StoreError
from tiphys import logs
from tiphys.clock import SystemClock
from tiphys.logs import fields


def parse_flags(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="apiserver", description="The Kubernetes API on a store.")
    parser.add_argument("--data-dir", type=Path, default=Path("/var/lib/tiphys"))
    parser.add_argument("--store", default="sqlite", help="sqlite, etcd, or etcd://HOST:PORT,HOST:PORT")
    parser.add_argument("--bind-address", default="127.0.0.1")
    parser.add_argument("--advertise-address", default="", help="where pods and nodes reach this server")
    parser.add_argument("--port", type=int, default=6443)
    parser.add_argument("--pki-dir", type=Path, default=None, help="default: DATA_DIR/pki")
    parser.add_argument("--service-cluster-ip-range", default="10.96.0.0/16")
    parser.add_argument("--allow-external-ips", action="store_true", help="Services may claim externalIPs")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS, help="before a silent client is let go")
    parser.add_argument("--body-seconds", type=float, default=BODY_SECONDS, help="in which a request's body must come")
    parser.add_argument(
        "--compaction-seconds", type=float, default=INTERVAL_SECONDS, help="between two compactions of the store"
    )
    parser.add_argument("--service-account-issuer", action="append", metavar="URL", help="the first one signs")
    parser.add_argument("--api-audiences", default="", help="comma-separated; default: the issuers")
    parser.add_argument(
        "--allow-loopback-webhooks", action="store_true", help="webhooks may be at 127.0.0.1 and ::1 of this machine"
    )
    longest = Issuer().max_seconds
    parser.add_argument("--service-account-max-token-seconds", type=int, default=longest, help="0: no limit")
    flags = parser.parse_args(argv)
    issuer = Issuer(
        tuple(flags.service_account_issuer or Issuer().names),
        tuple(word for word in flags.api_audiences.split(",") if word),
        flags.service_account_max_token_seconds,
    )
    return Options(
        data_dir=flags.data_dir,
        pki_dir=flags.pki_dir or flags.data_dir / "pki",
        store=flags.store,
        bind_address=flags.bind_address,
        advertise_address=flags.advertise_address,
        port=flags.port,
        service_cluster_ip_range=flags.service_cluster_ip_range,
        idle_seconds=flags.idle_seconds,
        body_seconds=flags.body_seconds,
        compaction_seconds=flags.compaction_seconds,
        issuer=issuer,
        external_ips=flags.allow_external_ips,
        loopback_webhooks=flags.allow_loopback_webhooks,
    )


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; 1 when the start fails."""
    log = logs.setup("apiserver")
    options = parse_flags(argv)
    try:
        asyncio.run(_serve(options))
    except (OSError, StoreError, ValueError) as error:
        log.error("cannot start", extra=fields(error=error))
        return 1
    return 0


def settle_memory() -> None:
    """Keep the garbage collector away from what stays: code, models and the filled cache.

    Its full passes looked at all of them every second under load, which was the longest pause a client saw (128 ms with
    13,000 objects).  Reference counts free what we drop; cycles come from exceptions only, and rarer passes find them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = ApiServer(options, SystemClock())
    try:
        await server.start()
        settle_memory()
        await stop.wait()
    finally:
        await server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
