"""Event: something that happened to an object."""

from typing import Annotated

from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import At, Int32, MicroTime, Model, Object, Time, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class EventSource(Model, name="io.k8s.api.core.v1.EventSource"):
    """Who reported an event."""

    component: Annotated[str, At(1)] = ""
    host: Annotated[str, At(2)] = ""


class EventSeries(Model, name="io.k8s.api.core.v1.EventSeries"):
    """How often an event happened, and when last."""

    count: Annotated[Int32, At(1)] = 0
    lastObservedTime: Annotated[MicroTime | None, At(2, always=True)] = None


@kind(plural="events", short_names=("ev",))
class Event(Object, name="io.k8s.api.core.v1.Event"):
    """Something that happened to an object."""

    apiVersion: str = "v1"
    kind: str = "Event"
    metadata: Annotated[ObjectMeta, At(1, required=True)] = default(ObjectMeta)
    involvedObject: Annotated[
        ObjectReference,
        At(2, "What it happened to.", required=True),
    ] = default(ObjectReference)
    reason: Annotated[str, At(3, "Why, in one word.")] = ""
    message: Annotated[str, At(4, "What happened.")] = ""
    source: Annotated[EventSource, At(5)] = default(EventSource)
    firstTimestamp: Annotated[Time | None, At(6, always=True)] = None
    lastTimestamp: Annotated[Time | None, At(7, always=True)] = None
    count: Annotated[Int32, At(8, "How often it happened.")] = 0
    type: Annotated[str, At(9, "Normal or Warning.")] = ""
    eventTime: Annotated[MicroTime | None, At(10, always=True)] = None
    series: Annotated[EventSeries | None, At(11)] = None
    action: Annotated[str, At(12)] = ""
    related: Annotated[ObjectReference | None, At(13)] = None
    reportingComponent: Annotated[str, At(14, always=True)] = ""
    reportingInstance: Annotated[str, At(15, always=True)] = ""


class EventList(Object, name="io.k8s.api.core.v1.EventList"):
    """A list of Event objects."""

    apiVersion: str = "v1"
    kind: str = "EventList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Event], At(2, required=True, list_type="")] = []
