"""Event, as the events.k8s.io group spells it: the same objects as the core group's."""

from typing import Annotated

from tiphys.api.core.event import EventSource
from tiphys.api.core.references import ObjectReference
from tiphys.api.declaration import At, Int32, MicroTime, Model, Object, Time, default
from tiphys.api.kinds import kind
from tiphys.api.meta import ListMeta, ObjectMeta


class EventSeries(Model, name="io.k8s.api.events.v1.EventSeries"):
    """How often an event happened, and when last."""

    count: Annotated[Int32, At(1, required=True)] = 0
    lastObservedTime: Annotated[MicroTime | None, At(2, required=True)] = None


@kind(plural="events", short_names=("ev",))
class Event(Object, name="io.k8s.api.events.v1.Event"):
    """Something that happened to an object."""

    apiVersion: str = "events.k8s.io/v1"
    kind: str = "Event"
    metadata: Annotated[ObjectMeta, At(1, always=True)] = default(ObjectMeta)
    eventTime: Annotated[MicroTime | None, At(2, required=True)] = None
    series: Annotated[EventSeries | None, At(3)] = None
    reportingController: Annotated[str, At(4)] = ""
    reportingInstance: Annotated[str, At(5)] = ""
    action: Annotated[str, At(6)] = ""
    reason: Annotated[str, At(7, "Why, in one word.")] = ""
    regarding: Annotated[ObjectReference, At(8)] = default(ObjectReference)
    related: Annotated[ObjectReference | None, At(9)] = None
    note: Annotated[str, At(10)] = ""
    type: Annotated[str, At(11, "Normal or Warning.")] = ""
    deprecatedSource: Annotated[EventSource, At(12)] = default(EventSource)
    deprecatedFirstTimestamp: Annotated[Time | None, At(13, always=True)] = None
    deprecatedLastTimestamp: Annotated[Time | None, At(14, always=True)] = None
    deprecatedCount: Annotated[Int32, At(15)] = 0


class EventList(Object, name="io.k8s.api.events.v1.EventList"):
    """A list of Event objects."""

    apiVersion: str = "events.k8s.io/v1"
    kind: str = "EventList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[Event], At(2, required=True, list_type="")] = []
