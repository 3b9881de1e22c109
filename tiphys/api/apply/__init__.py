"""Server-side apply: who owns which field, and what an apply does to the fields of others.

Two entrances.  `server_side_apply` merges an applied configuration into the live object.  `update_managed_fields`
records what a create, update or patch changed.  Both are pure; both expect the live object in wire form and give back
an object whose metadata.managedFields is right.

Where to call them (upstream's order): after decoding and defaulting, before admission and before the strategy's
prepare hooks, so that what the server itself fills in (cluster IPs, status) belongs to nobody.  The result of
`server_side_apply` can hold nulls and unparsed quantities: decode and default it afterwards.
"""

from tiphys.api.apply.managed_fields import keep_timestamps_when_unchanged, manager_name
from tiphys.api.apply.server_side import server_side_apply, update_managed_fields

__all__ = ["keep_timestamps_when_unchanged", "manager_name", "server_side_apply", "update_managed_fields"]
