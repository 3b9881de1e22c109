"""The 409 of an apply that would take fields from other managers, in upstream's words."""

from __future__ import annotations

from collections.abc import Mapping

from tiphys.api.apply.fieldset import FieldSet, path_text
from tiphys.api.apply.managed_fields import Manager, Owned
from tiphys.api.status import StatusError


def describe(manager: Manager) -> str:
    """ "hpa" with subresource "scale" using apps/v1"""
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return f"{text} using {manager.api_version}" if manager.operation == "Update" else text


class Conflicts(Exception):
    """Fields of other managers that an apply would change."""

    def __init__(self, by_manager: Mapping[Manager, Owned]) -> None:
        super().__init__("conflicts")
        self.by_manager = dict(sorted(by_manager.items()))

    def fields(self) -> FieldSet:
        result = FieldSet()
        for owned in self.by_manager.values():
            result = result.union(owned.fields)
        return result

    def without(self, allowed: FieldSet) -> Conflicts:
        rest = {m: owned.with_fields(owned.fields.difference(allowed)) for m, owned in self.by_manager.items()}
        return Conflicts({manager: owned for manager, owned in rest.items() if owned.fields})

    def to_status(self) -> StatusError:
        pairs = [(m, path_text(path)) for m, owned in self.by_manager.items() for path in owned.fields.paths()]
        if len(pairs) == 1:
            manager, path = pairs[0]
            message = f"Apply failed with 1 conflict: conflict with {describe(manager)}: {path}"
        else:
            lines = []
            for manager in self.by_manager:
                lines.append(f"conflicts with {describe(manager)}:")
                lines += [f"- {path}" for owner, path in pairs if owner == manager]
            message = f"Apply failed with {len(pairs)} conflicts: " + "\n".join(lines)
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {describe(manager)}", "field": path}
            for manager, path in pairs
        ]
        return StatusError(409, "Conflict", message, details={"causes": causes})
