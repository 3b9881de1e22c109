"""Thresholds as operators write them."""

import pytest

from nodeagent.eviction.thresholds import Amount, parse_amount, parse_config, parse_seconds


def test_the_defaults_are_the_kubelets() -> None:
    config = parse_config()
    assert [(t.signal, t.amount.of(1000), t.hard) for t in config.thresholds] == [
        ("memory.available", 100 << 20, True),
        ("nodefs.available", 100, True),
        ("nodefs.inodesFree", 50, True),
        ("imagefs.available", 150, True),
        ("imagefs.inodesFree", 50, True),
    ]
    assert config.transition_seconds == 300.0
    assert config.hard_amount("nodefs.available", 2000) == 200


def test_soft_thresholds_have_a_grace_and_a_hard_text_replaces_the_defaults() -> None:
    config = parse_config(
        "memory.available<1Gi",
        "memory.available<2Gi",
        "memory.available=1m30s",
        "memory.available=500Mi",
    )
    hard, soft = config.thresholds
    assert (hard.amount, hard.grace_seconds, hard.min_reclaim) == (Amount(1 << 30), None, Amount(500 << 20))
    assert (soft.amount, soft.grace_seconds) == (Amount(2 << 30), 90.0)
    assert parse_config("memory.available<0%").thresholds == ()  # switched off


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("memory.available=1Gi",), "invalid eviction threshold syntax"),
        (("memory<1Gi",), "unsupported eviction signal memory"),
        (("memory.available<1Gi,memory.available<2Gi",), "duplicate eviction threshold"),
        (("", "memory.available<1Gi"), "grace period must be specified for the soft eviction threshold"),
        (("memory.available<150%",), "between 0 and 100"),
        (("memory.available<much",), "eviction threshold 'much'"),
        (("", "", "memory.available=soon"), "invalid duration"),
    ],
)
def test_what_means_nothing_is_refused(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_config(*arguments)


def test_amounts_and_times() -> None:
    assert parse_amount("7.5%").of(200) == 15
    assert parse_seconds("1h2m3.5s") == 3723.5
