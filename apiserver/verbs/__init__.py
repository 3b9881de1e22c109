"""The verbs: one file each, the rules of the verb on one screen, no kind by name.

`Scope` is what a verb works in: the kind of the URL, where its objects are, and who must be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apiserver.admission import AdmissionChain, Attributes, Obj
from apiserver.registry.store import ResourceStore
from apiserver.request import Request
from apiserver.resources import Resources
from tiphys.api.kinds import KindInfo
from tiphys.api.times import format_time
from tiphys.clock import Clock


@dataclass(frozen=True, slots=True)
class Scope:
    info: KindInfo
    store: ResourceStore
    resources: Resources
    admission: AdmissionChain
    clock: Clock
    subresource: str = ""
    headers: Mapping[str, str] | None = None

    def now(self) -> str:
        return format_time(self.clock.now())

    def attributes(
        self, request: Request, operation: str, obj: Obj | None, old: Obj | None, *, dry_run: bool = False
    ) -> Attributes:
        """One write for admission; the name is the object's where the URL has none."""
        shown = obj if obj is not None else old
        name = request.info.name or (shown.get("metadata", {}).get("name", "") if shown else "")
        namespace = request.info.namespace if self.info.namespaced else ""
        return Attributes(
            operation,
            self.info,
            namespace,
            name,
            obj,
            old,
            request.user,
            self.subresource,
            dry_run,
            request.warn,
            request.query,
        )
