"""Settings that make no sense are refused by the key's name, before anything runs."""

from typing import Any

import pytest

from simulators import worlds
from simulators.stochastic import ChangeRates, ReadRates, SearchRates, ToolTroubles


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"read": ReadRates(timeout=1.5)}, r"^read\.timeout: is a probability from 0 to 1, not 1\.5"),
        ({"search": SearchRates(partial=-0.1)}, r"^search\.partial: "),
        ({"delete": ChangeRates(permanent=float("nan"))}, r"^delete\.permanent: "),
        ({"create": ChangeRates(timeout="0.1")}, r"^create\.timeout: "),  # type: ignore[arg-type]
        ({"update": ChangeRates(timeout=0.6, transient=0.5)}, r"^update: .*timeout, .* add up to at most 1, not 1\.1"),
        ({"max_in_a_row": 0}, r"^max_in_a_row: is at least 1, not 0"),
        ({"stale_calls": 0}, r"^stale_calls: "),
        ({"stale_calls": 2.5}, r"^stale_calls: is a whole number"),
        ({"retry_after_seconds": 0}, r"^retry_after_seconds: "),
        ({"slow_seconds": float("inf")}, r"^slow_seconds: "),
        ({"timeout_seconds": -1.0}, r"^timeout_seconds: "),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_key(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        ToolTroubles(**settings)


def test_a_trouble_that_a_kind_cannot_have_cannot_be_written():
    for factory, name in ((ReadRates, "timeout_after_commit"), (ReadRates, "partial"), (ChangeRates, "stale")):
        with pytest.raises(TypeError, match=name):
            factory(**{name: 0.1})
    with pytest.raises(ValueError, match=r"^timeouts: there is no such trouble; there are .*timeout_after_commit"):
        ToolTroubles.uniform(timeouts=0.1)


def test_a_permanent_failure_does_not_count_among_the_rates_of_one_call():
    ToolTroubles(read=ReadRates(permanent=1.0, timeout=0.5, transient=0.5))


def test_uniform_rates_go_to_every_kind_that_has_them_and_declining_has_none():
    troubles = ToolTroubles.uniform(timeout=0.1, partial=0.2, timeout_after_commit=0.3)
    assert troubles.search == SearchRates(timeout=0.1, partial=0.2) and troubles.read == ReadRates(timeout=0.1)
    assert troubles.create == troubles.update == troubles.delete == ChangeRates(timeout=0.1, timeout_after_commit=0.3)
    for name in worlds.names():
        for operation in worlds.load(name).operations.values():
            rates = troubles.rates_of(operation)
            like = {"list": "read", "compute": "read", "transition": "update", "transfer": "update"}
            kind = like.get(operation.kind, operation.kind)
            assert rates is None if kind == "decline" else rates == getattr(troubles, kind)


def test_settings_without_a_rate_are_off():
    assert not ToolTroubles().active and not ToolTroubles(max_in_a_row=5).active
    assert ToolTroubles(delete=ChangeRates(permanent=0.01)).active
