"""From the words of `--store` to a store: the only place that chooses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from apiserver.storage.store import Store, StoreError
from tiphys.clock import Clock


async def open_store(spec: str, data_dir: Path, clock: Clock) -> Store:
    """Open the store that `spec` names; it belongs to the running event loop.

    "sqlite": the file DATA_DIR/store/store.db.  "etcd": a member started here, with its data in DATA_DIR/etcd.
    "etcd://HOST:PORT,HOST:PORT?ca=FILE&cert=FILE&key=FILE&server-name=NAME": a cluster; several hosts: IPv4.

    Raises StoreError with what is wrong: a spec that cannot be read, a store in use, a member that does not come up."""
    if spec == "sqlite":
        from apiserver.storage.sqlite import SqliteStore

        return SqliteStore(data_dir / "store" / "store.db")
    if spec == "etcd":
        from apiserver.storage.local_etcd import start_local_etcd  # gRPC costs 15 MB: only where it is used

        return await start_local_etcd(data_dir / "etcd", clock)
    if spec.startswith("etcd://"):
        from apiserver.storage.etcd import EtcdStore, EtcdTls

        endpoints, files, server_name = parse_etcd(spec)
        return EtcdStore(endpoints, EtcdTls(*files, server_name) if files else None)
    raise StoreError(f'no store "{spec}": use sqlite, etcd or etcd://HOST:PORT,HOST:PORT')


def parse_etcd(spec: str) -> tuple[list[str], tuple[Path, Path, Path] | None, str]:
    """Endpoints, the TLS files (CA, certificate, key) if any, and the name in the servers' certificate if given."""
    parts = urlsplit(spec)
    endpoints = parts.netloc.split(",")
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        if not host or not port.isdecimal():
            raise StoreError(f'"{endpoint}" in "{spec}" is not HOST:PORT')
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if unknown := query.keys() - {"ca", "cert", "key", "server-name"}:
        raise StoreError(f'"{sorted(unknown)[0]}" in "{spec}" is none of ca, cert, key, server-name')
    given = [name for name in ("ca", "cert", "key") if name in query]
    if not given:
        return endpoints, None, ""
    if len(given) < 3:
        raise StoreError(f'"{spec}": TLS needs ca, cert and key together')
    for name in given:
        if not Path(query[name]).is_file():
            raise StoreError(f"{query[name]}: no such file ({name} of the store)")
    return endpoints, (Path(query["ca"]), Path(query["cert"]), Path(query["key"])), query.get("server-name", "")
