"""The world of a novel: who is where and who has what, chapter by chapter. All that is told of it follows from here."""

import random
from dataclasses import dataclass, field

__all__ = ["Event", "Snapshot", "World"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens; `kind` says which fields mean something."""

    kind: str
    """``arrive`` (who, town), ``give`` (who, thing, other), ``leave`` and ``take`` (who, thing, town)."""
    chapter: int
    who: str
    town: str
    thing: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How things stand at the end of a chapter."""

    place: dict[str, str]
    """Of every person."""
    holder: dict[str, str]
    """Of every thing that somebody has."""
    lies: dict[str, str]
    """The place of every thing that nobody has."""

    def where(self, thing: str) -> str:
        return self.lies.get(thing) or self.place[self.holder[thing]]


@dataclass
class World:
    """Lives `chapters` chapters of `per_chapter` events each; nothing happens that the state before it does not allow."""

    persons: list[str]
    towns: list[str]
    things: list[str]
    chapters: int
    per_chapter: int
    rng: random.Random
    events: list[Event] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    """Of the beginning, and of the end of every chapter."""

    def __post_init__(self) -> None:
        rng = self.rng
        self._place = {name: rng.choice(self.towns) for name in self.persons}
        self._holder = {thing: rng.choice(self.persons) for thing in self.things}
        self._lies: dict[str, str] = {}
        self._keep()
        for chapter in range(1, self.chapters + 1):
            for _ in range(self.per_chapter):
                self._live(chapter)
            self._keep()

    def _keep(self) -> None:
        self.snapshots.append(Snapshot(dict(self._place), dict(self._holder), dict(self._lies)))

    def _live(self, chapter: int) -> None:
        rng = self.rng
        who = rng.choice(self.persons)
        town = self._place[who]
        own = [thing for thing, holder in self._holder.items() if holder == who]
        here = [name for name in self.persons if name != who and self._place[name] == town]
        found = [thing for thing, place in self._lies.items() if place == town]
        luck = rng.random()
        if found and luck < 0.5:
            thing = rng.choice(found)
            del self._lies[thing]
            self._holder[thing] = who
            event = Event("take", chapter, who, town, thing)
        elif own and here and luck < 0.7:
            thing, other = rng.choice(own), rng.choice(here)
            self._holder[thing] = other
            event = Event("give", chapter, who, town, thing, other)
        elif own and luck > 0.85:
            thing = rng.choice(own)
            del self._holder[thing]
            self._lies[thing] = town
            event = Event("leave", chapter, who, town, thing)
        else:
            town = rng.choice([name for name in self.towns if name != town])
            self._place[who] = town
            event = Event("arrive", chapter, who, town)
        self.events.append(event)

    def hands(self, thing: str) -> list[str]:
        """Everybody who had it, in order; who gave it away and got it back stands there twice."""
        found = [self.snapshots[0].holder[thing]]
        for event in self.events:
            if event.thing == thing and event.kind in ("give", "take"):
                found.append(event.other if event.kind == "give" else event.who)
        return [name for at, name in enumerate(found) if not at or name != found[at - 1]]

    def arrivals(self, who: str, town: str) -> list[int]:
        """The chapters in which somebody arrived somewhere, in order."""
        return [event.chapter for event in self.events if (event.kind, event.who, event.town) == ("arrive", who, town)]
