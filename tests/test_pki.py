"""The CA is made once; certificates are renewed when they must be and left alone otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from tiphys import pki


class FixedClock:
    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


START = datetime(2026, 1, 1, tzinfo=UTC)


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    clock = FixedClock(START)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost", "10.96.0.1"]), clock)
    before = contents(tmp_path)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost", "10.96.0.1"]), clock)
    assert contents(tmp_path) == before


def test_a_certificate_near_its_end_is_renewed_and_the_ca_is_not(tmp_path: Path) -> None:
    clock = FixedClock(START)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost"]), clock)
    before = contents(tmp_path)
    clock.moment = START + pki.LIFETIME - timedelta(days=29)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost"]), clock)
    after = contents(tmp_path)
    assert after["admin.crt"] != before["admin.crt"]
    assert after["ca.crt"] == before["ca.crt"] and after["sa.key"] == before["sa.key"]


def test_a_new_address_gives_the_server_a_new_certificate(tmp_path: Path) -> None:
    clock = FixedClock(START)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost"]), clock)
    before = contents(tmp_path)
    pki.ensure(tmp_path, pki.cluster_identities(["localhost", "192.0.2.7"]), clock)
    after = contents(tmp_path)
    assert after["apiserver.crt"] != before["apiserver.crt"]
    assert after["admin.crt"] == before["admin.crt"]


def test_the_node_identity_is_what_the_node_authorizer_looks_for(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [pki.node_identity("n1", ["127.0.0.1"])], FixedClock(START))
    cert = x509.load_pem_x509_certificate((tmp_path / "node-n1.crt").read_bytes())
    assert cert.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    cert.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes()))


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    pki.ensure(tmp_path / "pki", pki.cluster_identities(["localhost"]), FixedClock(START))
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in (tmp_path / "pki").glob("*.key"))
