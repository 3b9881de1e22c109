"""Every fuzzer belongs to a parser, and a parser's fuzzers together take its time and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.fuzzing import PARSERS, SECONDS, parser_of, share_seconds

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_fuzz_*.py"))


def test_every_module_of_fuzzers_is_of_one_parser() -> None:
    assert sorted(module for modules in PARSERS.values() for module in modules) == MODULES


@pytest.mark.parametrize("parser", PARSERS)
def test_the_calls_of_a_parser_share_its_time(parser: str) -> None:
    spent = 0.0
    for module in PARSERS[parser]:
        assert parser_of(module) == parser
        lines = (Path(__file__).parent / f"{module}.py").read_text().splitlines()
        calls = [line for line in lines if line.strip().startswith("fuzz(")]
        assert calls, f"{module} fuzzes"
        spent += share_seconds(module) * len(calls)
    assert spent == pytest.approx(SECONDS)
