"""DNS answers per CPU-second and their latency, over UDP, of a server process: `python -m tests.benchmarks.dns`.

Peer: coredns with its cluster plugin answers about 30,000 to 35,000 questions a second on one core (its own figures).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import subprocess
import sys
import time

from nodeagent.dns import wire
from nodeagent.dns.forward import Forwarder
from nodeagent.dns.metrics import DNSMetrics
from nodeagent.dns.responder import Responder
from nodeagent.dns.server import DNSServer, is_among
from nodeagent.dns.upstreams import Upstreams
from nodeagent.dns.zone import Zone
from tests.benchmarks.meter import cpu_seconds
from tests.benchmarks.report import Report
from tests.nodeagent.dns.cluster_objects import question, service
from tiphys.clock import SystemClock

SERVICES = 1000
QUESTIONS = 60_000
IN_FLIGHT = 32
ALONE = 5_000


async def serve() -> None:
    """Print the port and answer until killed."""
    zone, clock, metrics = Zone(wire.name_of("cluster.local")), SystemClock(), DNSMetrics()
    zone.namespace_changed("default", there=True)
    for number in range(SERVICES):
        address = str(ipaddress.ip_address("10.96.1.0") + number)
        zone.service_changed(None, service(f"s{number}", clusterIP=address, ports=[{"name": "http", "port": 80}]))
    responder = Responder(zone, Forwarder(Upstreams([]), clock, metrics), metrics, clock)
    server = DNSServer(responder, "127.0.0.1", 0, is_among((ipaddress.ip_network("127.0.0.0/8"),)))
    await server.open()
    print(server.port, flush=True)
    await asyncio.Event().wait()


def measure(report: Report) -> None:
    report.section("DNS, names of 1,000 Services")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.dns", "serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.1", port))
                client.settimeout(5)
                asked = [question(f"s{n}.default.svc.cluster.local", wire.A, udp_bytes=1232) for n in range(SERVICES)]
                asked += [question(f"s{n}.default.svc.default.svc.cluster.local", wire.A) for n in range(SERVICES)]
                _first_and_kept(client, server.pid, asked, report)
        finally:
            server.kill()


def _first_and_kept(client: socket.socket, pid: int, asked: list[bytes], report: Report) -> None:
    before, started = cpu_seconds([pid]), time.monotonic()
    for number in range(QUESTIONS):
        client.send(asked[number % len(asked)])
        if number >= IN_FLIGHT:
            client.recv(4096)
    for _ in range(IN_FLIGHT):
        client.recv(4096)
    spent, seconds = cpu_seconds([pid]) - before, time.monotonic() - started
    report.add("answers per CPU-second", QUESTIONS / spent, "/s")
    report.add("answers per second, one client", QUESTIONS / seconds, "/s")
    times = []
    for number in range(ALONE):
        sent = time.perf_counter()
        client.send(asked[number % len(asked)])
        client.recv(4096)
        times.append(time.perf_counter() - sent)
    times.sort()
    report.add("one question after the other, p50", times[len(times) // 2] * 1e6, "µs")
    report.add("one question after the other, p99", times[len(times) * 99 // 100] * 1e6, "µs")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        measure(Report())
