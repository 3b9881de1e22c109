"""A program that writes without end costs the agent neither memory nor anything else once its client has gone."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import aiohttp

from tests.nodeagent.server.conftest import Door

SECONDS = float(os.environ.get("TIPHYS_FLOOD_SECONDS", "3"))  # 30 for the long form
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


async def test_a_flood_of_output_is_passed_on_and_forgotten(door: Door) -> None:
    async with door.exec("busybox", "yes") as warm:
        await warm.receive()
    before, held, received, most = door.footprint(), resident_bytes(), 0, 0
    loop = asyncio.get_running_loop()
    async with door.exec("busybox", "yes") as socket:
        end = loop.time() + SECONDS
        while loop.time() < end:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.BINARY
            received += len(message.data)
            most = max(most, resident_bytes() - held) if received % 64 == 0 else most
    assert received > 1 << 20  # the control: it did flow
    await door.settles(before)
    assert most <= 32 << 20 and resident_bytes() - held <= 32 << 20
