"""What field selectors may ask of an event: the core group's words, in the fields of this group."""

from tiphys.api.core import event_strategy
from tiphys.api.events.event_conversion import to_storage

_WORDS = {"involvedObject": "regarding", "reportingComponent": "reportingController"}


def _renamed(path: str) -> str:
    head, dot, rest = path.partition(".")
    return _WORDS.get(head, head) + dot + rest


selectable_fields = {
    _renamed(path): (lambda event, read=read: read(to_storage(event)))
    for path, read in event_strategy.selectable_fields.items()
}
