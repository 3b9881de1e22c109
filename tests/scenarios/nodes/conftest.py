"""A cluster of three nodes on one machine, shared by the tests of this package, and an image that they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine import NODE, Machine
from tests.scenarios.pods import busybox_image

NODES = (NODE, f"{NODE}-2", f"{NODE}-3")


@pytest.fixture(scope="package")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("three")) as machine:
        machine.up("--nodes", "3")
        yield machine


@pytest.fixture(scope="package")
def image(three: Machine) -> str:
    """In a registry on the machine's loopback: every node pulls as the machine does."""
    return three.registry().push(busybox_image(), "box", "v1")
