"""How ingresses are printed."""

from datetime import datetime
from typing import Any

from tiphys.api.kinds import Column
from tiphys.api.table import AGE, NAME, NONE, age_of, name_of

columns = (
    NAME,
    Column("Class", description="Who serves it."),
    Column("Hosts", description="Some of the hosts."),
    Column("Address", description="Where it can be reached."),
    Column("Ports", description="The ports it listens on."),
    AGE,
)


def cells(obj: dict[str, Any], now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    given = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "") or "*",
        ",".join(item.get("ip") or item.get("hostname") or "" for item in given),
        "80, 443" if spec.get("tls") else "80",
        age_of(obj, now),
    ]
