"""How often which tool misbehaves, and how badly: plain settings, checked when they are made.

A kind of operation has only the rates that make sense for it (a read commits nothing, only a search can be cut short),
so what cannot happen cannot be written. The rates of one call exclude each other: at most one trouble strikes it.
"""

from dataclasses import dataclass, field, fields

from simulators.worlds import OperationSpec

__all__ = ["ChangeRates", "Rates", "ReadRates", "SearchRates", "ToolTroubles"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Probabilities, 0 to 1, that any tool can have; each per call unless it says otherwise."""

    timeout: float = 0.0
    """No answer, and nothing was done."""
    rate_limit: float = 0.0
    """Turned away before anything was done, with the seconds to wait."""
    transient: float = 0.0
    """An error that passes; nothing was done."""
    malformed: float = 0.0
    """Done, but of the answer only a beginning arrives that is no JSON."""
    slow: float = 0.0
    """The right answer, late by virtual seconds; the agent sees no difference."""
    permanent: float = 0.0
    """Per tool and episode: out of service from first call to last. Never a tool that the task's gold calls."""

    def per_call(self) -> dict[str, float]:
        """The rates that exclude each other at one call, by trouble, in the order of the fields."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "permanent"}


@dataclass(frozen=True, kw_only=True)
class ReadRates(Rates):
    """Of tools that read one record."""

    stale: float = 0.0
    """Answered from the state of some calls ago; the answer says of how many."""


@dataclass(frozen=True, kw_only=True)
class SearchRates(ReadRates):
    """Of tools that search."""

    partial: float = 0.0
    """Some hits are missing; the answer says that it is incomplete."""


@dataclass(frozen=True, kw_only=True)
class ChangeRates(Rates):
    """Of tools that change the state."""

    timeout_after_commit: float = 0.0
    """No answer, though it was done; the agent is told the same as by `timeout`."""


@dataclass(frozen=True)
class ToolTroubles:
    """Rates by the kind of operation, and their bounds. Declining, the agent's own word, never meets trouble.

    Raises:
        ValueError: naming the key, for a rate outside of [0, 1], rates of one call that add up to more than 1, or a
            bound that is too small.
    """

    read: ReadRates = field(default_factory=ReadRates)
    """Of tools that read one record (and of any other kind that changes nothing)."""
    search: SearchRates = field(default_factory=SearchRates)
    """Of tools that search."""
    create: ChangeRates = field(default_factory=ChangeRates)
    """Of tools that add a record."""
    update: ChangeRates = field(default_factory=ChangeRates)
    """Of tools that change a record (and of any other kind that changes something)."""
    delete: ChangeRates = field(default_factory=ChangeRates)
    """Of tools that remove a record."""
    max_in_a_row: int = 2
    """Troubles that the same call (tool and arguments) may meet one after the other; the next try meets none."""
    timeout_seconds: float = 30.0
    """Virtual seconds that a timeout takes."""
    slow_seconds: float = 20.0
    """Most virtual seconds that a slow answer takes; drawn evenly from 1."""
    retry_after_seconds: int = 10
    """Most seconds that a rate limit asks to wait; drawn evenly from 1."""
    stale_calls: int = 3
    """Most calls that a stale answer lags behind; drawn evenly from 1."""

    def __post_init__(self) -> None:
        for kind in _KINDS:
            _check(kind, getattr(self, kind))
        for name in ("max_in_a_row", "slow_seconds", "retry_after_seconds", "stale_calls"):
            if not 1 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: is at least 1, not {getattr(self, name)}")
        for name in ("max_in_a_row", "retry_after_seconds", "stale_calls"):
            if not isinstance(getattr(self, name), int):
                raise ValueError(f"{name}: is a whole number, not {getattr(self, name)}")
        if not 0 <= self.timeout_seconds < float("inf"):
            raise ValueError(f"timeout_seconds: is at least 0, not {self.timeout_seconds}")

    @classmethod
    def uniform(cls, **rates: float) -> "ToolTroubles":
        """The same rates for every kind of operation that has them, e.g. ``uniform(timeout=0.1, stale=0.05)``.

        Raises:
            ValueError: for a trouble that no kind has.
        """
        made = {kind: {item.name for item in fields(factory)} for kind, factory in _KINDS.items()}
        unknown = sorted(rates.keys() - set().union(*made.values()))
        if unknown:
            known = ", ".join(sorted(set().union(*made.values())))
            raise ValueError(f"{unknown[0]}: there is no such trouble; there are {known}")
        return cls(
            **{
                kind: factory(**{name: rate for name, rate in rates.items() if name in made[kind]})
                for kind, factory in _KINDS.items()
            }
        )

    @property
    def active(self) -> bool:
        """Whether anything can go wrong at all."""
        return any(rate > 0 for kind in _KINDS for rate in vars(getattr(self, kind)).values())

    def rates_of(self, operation: OperationSpec) -> Rates | None:
        """The rates that go for a tool; None for the one that declines."""
        if operation.kind == "decline":
            return None
        kind = operation.kind if operation.kind in _KINDS else "update" if operation.changes_state else "read"
        rates: Rates = getattr(self, kind)
        return rates


_KINDS: dict[str, type] = {
    "read": ReadRates, "search": SearchRates, "create": ChangeRates, "update": ChangeRates, "delete": ChangeRates,
}  # fmt: skip


def _check(kind: str, rates: Rates) -> None:
    for name, rate in vars(rates).items():
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"{kind}.{name}: is a probability from 0 to 1, not {rate}")
    total = sum(rates.per_call().values())
    if total > 1 + 1e-9:
        raise ValueError(
            f"{kind}: the rates of one call ({', '.join(rates.per_call())}) exclude each other and add up to at most "
            f"1, not {total:g}"
        )
