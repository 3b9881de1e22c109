"""managedFields after a create, update or patch: who set which field.

What must stay true: every write goes through here or through apply; the walk itself knows which fields an endpoint
never changes (status on the main resource, the rest on /status), so nobody owns those through it.
"""

from __future__ import annotations

from typing import Any

from apiserver.registry.options import WriteOptions
from apiserver.verbs import Scope
from tiphys.api.apply import update_managed_fields


def own_fields(live: dict[str, Any] | None, new: dict[str, Any], scope: Scope, options: WriteOptions) -> None:
    """Set `new.metadata.managedFields` (in place)."""
    owned = update_managed_fields(
        live,
        new,
        scope.info.schema,
        manager=options.manager,
        operation="Update",
        api_version=scope.info.api_version,
        subresource=scope.subresource,
        now=scope.now(),
    )
    managed = owned["metadata"].get("managedFields")
    if managed:
        new["metadata"]["managedFields"] = managed
    else:
        new["metadata"].pop("managedFields", None)
