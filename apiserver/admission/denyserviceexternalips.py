"""DenyServiceExternalIPs: a Service may not claim addresses that are not its own (CVE-2020-8554).

Who may create Services could otherwise catch the traffic of any address.  Addresses a Service already has may stay.
"""

from __future__ import annotations

from typing import Any

from apiserver.admission import Attributes, Plugin


class DenyServiceExternalIPs(Plugin):
    kinds = frozenset({("", "services")})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource or attributes.obj is None or not attributes.is_for("", "services"):
            return
        if _external(attributes.obj) - _external(attributes.old or {}):
            raise attributes.refuse("Use of external IPs is denied by admission control.")


def _external(service: dict[str, Any]) -> set[str]:
    return set(service.get("spec", {}).get("externalIPs") or ())
