"""What the server fills in for flow schemas and priority levels."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]
_PACKAGE = "io.k8s.api.flowcontrol.v1."


@sets_defaults(_PACKAGE + "FlowSchemaSpec")
def flow_schema(spec: JsonObject) -> None:
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _shares(level: JsonObject, shares: int) -> None:
    """A field that is written even when nobody set it is there as None."""
    for name, value in (("nominalConcurrencyShares", shares), ("lendablePercent", 0)):
        if level.get(name) is None:
            level[name] = value


@sets_defaults(_PACKAGE + "LimitedPriorityLevelConfiguration")
def limited(level: JsonObject) -> None:
    _shares(level, 30)


@sets_defaults(_PACKAGE + "ExemptPriorityLevelConfiguration")
def exempt(level: JsonObject) -> None:
    _shares(level, 0)


@sets_defaults(_PACKAGE + "QueuingConfiguration")
def queuing(queuing: JsonObject) -> None:
    for name, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
        if not queuing.get(name):
            queuing[name] = value
