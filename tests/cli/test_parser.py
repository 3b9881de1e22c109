"""Command lines are read as kubectl reads them."""

from __future__ import annotations

import argparse

import pytest

from tiphys.cli import delete, get
from tiphys.cli.errors import CommandError
from tiphys.cli.main import main
from tiphys.cli.parser import CommandParser, split_verb


def _get(*words: str) -> argparse.Namespace:
    parser = CommandParser("tiphys get", "")
    get.configure(parser)
    return parser.read(words)


def test_flags_may_stand_anywhere() -> None:
    found = vars(_get("pods", "-n", "x", "web", "--watch", "db"))
    assert found["resources"] == ["pods", "web", "db"]
    assert (found["namespace"], found["watch"]) == ("x", True)


def test_a_switch_may_be_given_a_truth() -> None:
    assert vars(_get("pods", "--watch=false", "-A"))["watch"] is False
    assert vars(_get("pods", "--all-namespaces=true"))["all_namespaces"] is True


def test_a_switch_that_is_on_may_be_named_alone_or_turned_off() -> None:
    parser = CommandParser("tiphys delete", "")
    delete.configure(parser)
    assert parser.read(["pods", "--wait", "x"]).resources == ["pods", "x"]
    assert parser.read(["pods", "x", "--wait=false"]).wait == "false"


REFUSED = [
    (["--nonsense"], "unknown flag: --nonsense"),
    (["--watch=perhaps"], 'invalid argument "perhaps" for "--watch" flag'),
    (["--chunk-size=x"], '"x" is not a whole number'),
    (["--outp=yaml"], "unknown flag: --outp=yaml"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_a_wrong_flag_is_named(words: list[str], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        _get(*words)
    assert message in str(caught.value)
    assert "See 'tiphys get --help' for usage." in str(caught.value)


def test_flags_before_the_verb_belong_to_it() -> None:
    assert split_verb(["-n", "get", "--kubeconfig=f", "get", "pods"]) == (
        "get",
        ["-n", "get", "--kubeconfig=f", "pods"],
    )
    assert split_verb([]) == ("", [])


def test_an_unknown_verb_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == 1
    assert 'error: unknown command "frobnicate" for "tiphys"' in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["get", "--help"]])
def test_help_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "usage" in capsys.readouterr().out.lower()
