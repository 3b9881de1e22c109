"""Addresses of a node's pods: one file per address, whose content is the pod's uid.

What must stay true: an address has one owner (the file is made by link, which fails if it exists, and appears whole); a
pod has one address; an address that was just freed is used again as late as possible.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path


class AddressesExhausted(Exception):
    """Every address of the range is taken."""


class AddressPool:
    """Addresses of `network` but its first (the gateway), the network's own and the broadcast address."""

    def __init__(self, directory: Path, network: ipaddress.IPv4Network) -> None:
        """Reads what is there; files outside of the network are left alone."""
        self._dir = directory
        self._network = network
        self.gateway = network[1]
        self._first, self._last = int(network[2]), int(network[-2])
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owners: dict[int, str] = {}
        newest = (0, self._first - 1)
        for file in directory.iterdir():
            number = self._number(file.name)
            if number is None:
                file.unlink()  # a temporary file of a crash
                continue
            self._owners[number] = file.read_text()
            newest = max(newest, (file.stat().st_mtime_ns, number))
        self._cursor = newest[1]
        self._by_pod = {uid: number for number, uid in self._owners.items()}

    def address_of(self, pod_uid: str) -> str | None:
        number = self._by_pod.get(pod_uid)
        return str(ipaddress.IPv4Address(number)) if number else None

    def owners(self) -> dict[str, str]:
        """pod uid -> address."""
        return {uid: str(ipaddress.IPv4Address(number)) for uid, number in self._by_pod.items()}

    def allocate(self, pod_uid: str) -> str:
        """The pod's address, a new one if it has none.  Raises AddressesExhausted."""
        if existing := self.address_of(pod_uid):
            return existing
        temporary = self._dir / f".{os.getpid()}.{os.urandom(6).hex()}"
        temporary.write_text(pod_uid)
        try:
            for number in self._candidates():
                try:
                    os.link(temporary, self._dir / str(ipaddress.IPv4Address(number)))
                except FileExistsError:
                    continue
                self._owners[number] = pod_uid
                self._by_pod[pod_uid] = number
                self._cursor = number
                return str(ipaddress.IPv4Address(number))
        finally:
            temporary.unlink()
        raise AddressesExhausted(f"no free address in {self._network}")

    def release(self, pod_uid: str) -> None:
        number = self._by_pod.pop(pod_uid, None)
        if number is not None:
            (self._dir / str(ipaddress.IPv4Address(number))).unlink(missing_ok=True)
            del self._owners[number]

    def _candidates(self) -> list[int]:
        after = range(self._cursor + 1, self._last + 1)
        before = range(self._first, self._cursor + 1)
        return [number for numbers in (after, before) for number in numbers if number not in self._owners]

    def _number(self, name: str) -> int | None:
        try:
            return int(ipaddress.IPv4Address(name))
        except ValueError:
            return None
