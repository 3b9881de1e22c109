"""What a namespace says while it is being deleted."""

from collections import Counter

import pytest

from controllers.namespace import Content, conditions, retry_seconds
from tests.controllers.objects import NOW, ago
from tiphys.api.core.namespace import NamespaceCondition


def test_an_empty_namespace_says_that_all_is_done() -> None:
    told = conditions([], Content(), NOW)
    assert [(one.type, one.status, one.reason) for one in told] == [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
        ("NamespaceContentRemaining", "False", "ContentRemoved"),
        ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers"),
    ]


def test_what_is_left_is_counted_in_upstreams_words() -> None:
    left = Content(Counter({"pods.": 2, "deployments.apps": 1}), Counter({"example.com/hold": 1}))
    told = {one.type: one for one in conditions([], left, NOW)}
    assert told["NamespaceContentRemaining"].message == (
        "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances"
    )
    assert told["NamespaceFinalizersRemaining"].message == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    held = NamespaceCondition(type="NamespaceContentRemaining", status="True", lastTransitionTime=ago(60))
    still = {one.type: one for one in conditions([held], Content(Counter({"pods.": 1})), NOW)}
    assert still["NamespaceContentRemaining"].lastTransitionTime == ago(60)
    gone = {one.type: one for one in conditions([held], Content(), NOW)}
    assert gone["NamespaceContentRemaining"].lastTransitionTime == ago(0)


@pytest.mark.parametrize(("age", "seconds"), [(0, 0.05), (4, 1), (1000, 5)])
def test_looking_again_is_frequent_at_first(age: float, seconds: float) -> None:
    assert retry_seconds(age) == seconds
