"""ControllerRevisions: names, the patch they hold, and what may be forgotten."""

import pytest

from controllers.controllerrevisions import (
    History,
    new_revision,
    next_number,
    revision_hash,
    surplus,
    template_of,
    template_patch,
)
from tests.controllers.workloads import stateful_set
from tiphys.api.apps.controllerrevision import ControllerRevision


def revision(number: int) -> ControllerRevision:
    return ControllerRevision.model_validate(
        {"metadata": {"name": f"r{number}", "uid": str(number)}, "revision": number}
    )


def test_a_revision_holds_the_patch_that_brings_its_template_back() -> None:
    owner = stateful_set(image="app:7")
    made = new_revision(owner, owner.spec.template, 4, None, "hash")
    assert template_of(made) == owner.spec.template
    assert made.data == template_patch(owner.spec.template) and made.revision == 4
    assert made.metadata.name == f"db-{made.metadata.labels['hash']}"
    assert made.metadata.labels["app"] == "web", "found by the owner's selector"


def test_a_collision_makes_another_name_of_the_same_template() -> None:
    data = template_patch(stateful_set().spec.template)
    names = {revision_hash(data, count) for count in (None, 1, 2)}
    assert len(names) == 3 and revision_hash(data, None) == revision_hash(data, 0)


@pytest.mark.parametrize(
    ("in_use", "limit", "forgotten"),
    [
        ([], 2, ["r1", "r2"]),
        (["r1"], 2, ["r2"]),
        (["r1", "r2", "r3", "r4"], 0, []),
        ([], 0, ["r1", "r2", "r3", "r4"]),
        ([], None, []),
        ([], 10, []),
    ],
)
def test_the_oldest_idle_revisions_go_and_the_current_one_stays(
    in_use: list[str], limit: int | None, forgotten: list[str]
) -> None:
    history = History([revision(number) for number in range(1, 6)], None)
    assert [one.metadata.name for one in surplus(history, in_use, limit)] == forgotten
    assert next_number(history.revisions) == 6 and next_number([]) == 1
