"""How endpoints are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

SHOWN = 3

columns = (NAME, Column("Endpoints", description="Some of the addresses."), AGE)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    return [name_of(obj), endpoints_text(obj.get("subsets") or []), age_of(obj, now)]


def endpoints_text(subsets: list[dict[str, Any]]) -> str:
    """10.1.0.2:80,10.1.0.3:80,10.1.0.4:80 + 2 more..."""
    if not subsets:
        return NONE
    all_of_them: list[str] = []
    nowhere: list[dict[str, Any]] = [{}]
    for subset in subsets:
        addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
        for port in subset.get("ports") or nowhere:
            suffix = f":{port['port']}" if port.get("port") else ""
            all_of_them += [f"[{ip}]{suffix}" if suffix and ":" in ip else ip + suffix for ip in addresses]
    more = len(all_of_them) - SHOWN
    text = ",".join(all_of_them[:SHOWN])
    return f"{text} + {more} more..." if more > 0 else text
