"""Stands in for the plugin pytest-kind: the cluster is there already, and stays."""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--keep-cluster", action="store_true", help="accepted; the cluster is not ours to delete")
