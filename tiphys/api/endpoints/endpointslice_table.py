"""How endpoint slices are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, age_of, name_of

SHOWN = 3
UNSET = "<unset>"

columns = (
    NAME,
    Column("AddressType", description="IPv4, IPv6 or FQDN."),
    Column("Ports", description="Some of the ports."),
    Column("Endpoints", description="Some of the addresses."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return [name_of(obj), obj.get("addressType", ""), some_of(ports), some_of(addresses), age_of(obj, now)]


def some_of(texts: list[str]) -> str:
    """a,b,c + 2 more..."""
    more = len(texts) - SHOWN
    text = ",".join(texts[:SHOWN]) or UNSET
    return f"{text} + {more} more..." if more > 0 else text
