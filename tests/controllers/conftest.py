"""The controllers' tests use the client's fixtures: a real API server per test."""

from tests.client.conftest import admin_config, client, pki_dir

__all__ = ["admin_config", "client", "pki_dir"]
