"""Facts from a seed: first the land, then people, what they founded and made, and at last what changed, is rumoured or unknown.

Dates agree with lives: nobody founds, makes, studies or is honoured before being old enough, and terms of office follow each
other.
"""

import random
from collections import defaultdict
from functools import lru_cache
from typing import Final

from simulators.tasks.search.facts import FactBase, Thing
from simulators.tasks.search.names import ALIKE, Name, Namer
from simulators.tasks.search.schema import KINDS, RELATIONS, TYPES, Words
from trajectories.seeds import derive_rng

__all__ = ["fact_base"]

NOW: Final = 2015
"""Nothing that is stated happened later."""

_NEVER_MISSING: Final = {
    "mayor_of", "term_start", "term_end", "won", "won_year", "creator", "completed", "headquarters", "set_up", "capital", "twin",
}  # fmt: skip
_MISSING, _RUMOURED, _NAMESAKES, _REVISED = 0.07, 0.08, 0.25, 0.6
_SIZES: Final = {
    "province": 12,
    "river": 70,
    "mountain": 50,
    "city": 150,
    "institution": 130,
    "company": 190,
    "event": 130,
    "prize": 40,
}
_ARTISTS, _MAYORED, _CREATORS = 560, 60, 95


@lru_cache(maxsize=16)
def fact_base(seed: int) -> FactBase:
    """The facts of the corpus with this seed."""
    return _Maker(derive_rng(seed, "search corpus")).make()


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng, self.names, self.base = rng, Namer(rng), FactBase()
        self.values = self.base.values

    def make(self) -> FactBase:
        self._land()
        self._people()
        self._bodies()
        self._works()
        self._happenings()
        self._change()
        self._withhold()
        for (subject, relation), value in self.values.items():
            if RELATIONS[relation].value in TYPES:
                self.base.subjects[value, relation].append(subject)
        return self.base

    def _add(self, type_: str, name: Name, kind: Words | None = None) -> int:
        thing = Thing(len(self.base.things), type_, kind or self._kind(type_), name)
        self.base.things.append(thing)
        return thing.index

    def _kind(self, type_: str) -> Words:
        return self.rng.choice(KINDS[type_][:-1] if type_ == "person" else KINDS.get(type_, (TYPES[type_],)))

    def _stemmed(self, english: str, chinese: str, stem: Name | None = None) -> Name:
        latin, han = stem or self.names.stem()
        return english.format(latin), chinese.format(han)

    def _land(self) -> None:
        rng, values = self.rng, self.values
        self.provinces = [self._add("province", self._stemmed("{} Province", "{}省")) for _ in range(_SIZES["province"])]
        self.mountains = [self._add("mountain", self._stemmed("Mount {}", "{}峰")) for _ in range(_SIZES["mountain"])]
        self.rivers = [self._add("river", self._stemmed("{} River", "{}河")) for _ in range(_SIZES["river"])]
        self.cities = [self._add("city", self._stemmed("{}", "{}")) for _ in range(_SIZES["city"])]
        for place, river in enumerate(self.rivers):
            values[river, "rises_on"], values[river, "length"] = rng.choice(self.mountains), rng.randint(41, 1890)
            if place > 12:
                values[river, "flows_into"] = rng.choice(self.rivers[:place])
        for mountain in self.mountains:
            values[mountain, "height"] = rng.randint(810, 6900)
        for city in self.cities:
            values[city, "in_province"], values[city, "on_river"] = rng.choice(self.provinces), rng.choice(self.rivers)
            values[city, "charter_year"], values[city, "population"] = rng.randint(1105, 1790), rng.randint(10_300, 989_000)
        paired = rng.sample(self.cities, 100)
        for one, other in zip(paired[::2], paired[1::2], strict=True):
            values[one, "twin"], values[other, "twin"] = other, one
        for province in self.provinces:
            mine = [city for city in self.cities if values[city, "in_province"] == province]
            values[province, "area"] = rng.randint(2_100, 88_000)
            if mine:
                values[province, "capital"] = rng.choice(mine)

    def _person(self, born: int, kind: Words, family: Name, given: Name) -> int:
        person = self._add("person", (f"{given[0]} {family[0]}", f"{given[1]}·{family[1]}"), kind)
        self.values[person, "birth_year"], self.values[person, "born_in"] = born, self.rng.choice(self.cities)
        if (died := born + self.rng.randint(48, 94)) < NOW:
            self.values[person, "death_year"] = died
        return person

    def _people(self) -> None:
        rng, values = self.rng, self.values
        self.people: list[int] = []
        for _ in range(_ARTISTS):
            if len(self.people) >= _ARTISTS:
                break
            pair, family, born, kind = rng.choice(ALIKE), self.names.stem(), rng.randint(1740, 1975), self._kind("person")
            names = list(rng.sample(pair, 2 if rng.random() < _NAMESAKES else 1))
            made = [self._person(born + 30 * place, kind, family, given) for place, given in enumerate(names)]
            if len(made) == 2:
                self._mistakable(*made)
            self.people += made
        by_kind = defaultdict(list)
        for person in self.people:
            by_kind[self.base.things[person].kind].append(person)
        for person in self.people:
            born = values[person, "birth_year"]
            elders = [one for one in by_kind[self.base.things[person].kind] if 16 <= born - values[one, "birth_year"] <= 45]
            if elders and rng.random() < 0.7:
                values[person, "studied_under"] = rng.choice(elders)
        self.mayored = rng.sample(self.cities, _MAYORED)
        for city in self.mayored:
            year = rng.randint(1800, 1850)
            for _ in range(rng.randint(5, 8)):
                end = year + rng.randint(5, 19)
                mayor = self._person(
                    year - rng.randint(30, 55), KINDS["person"][-1], self.names.stem(), rng.choice(rng.choice(ALIKE))
                )
                values[mayor, "mayor_of"], values[mayor, "term_start"], values[mayor, "term_end"] = city, year, end
                values.pop((mayor, "death_year"), None)
                year = end
        for mountain in self.mountains:
            climber = rng.choice(self.people)
            values[mountain, "first_climber"] = climber
            values[mountain, "climb_year"] = values[climber, "birth_year"] + rng.randint(20, 40)

    def _founded(self, body: int, founder: str, year: str, latest: int) -> None:
        founders = [one for one in self.people if self.values[one, "birth_year"] < latest - 45]
        person = self.values[body, founder] = self.rng.choice(founders)
        self.values[body, year] = self.values[person, "birth_year"] + self.rng.randint(25, 45)

    def _living(self) -> int:
        return self.rng.choice([one for one in self.people if self.values[one, "birth_year"] > 1935])

    def _mistakable(self, one: int, other: int) -> None:
        self.base.namesakes[one], self.base.namesakes[other] = other, one

    def _bodies(self) -> None:
        rng, values = self.rng, self.values
        suffixes = {
            kind: (f"{{}} {kind[0].title()}", f"{{}}{kind[1]}") for kinds in ("institution", "company") for kind in KINDS[kinds]
        }
        made: dict[str, list[int]] = {"institution": [], "company": []}
        for type_, bodies in made.items():
            while len(bodies) < _SIZES[type_]:
                stem = self.names.stem()
                kinds = rng.sample(KINDS[type_], 2 if rng.random() < _NAMESAKES else 1)
                alike = [self._add(type_, self._stemmed(*suffixes[kind], stem), kind) for kind in kinds]
                if len(alike) == 2:
                    self._mistakable(*alike)
                bodies += alike
        self.institutions, self.companies = made["institution"], made["company"]
        for one in self.institutions:
            self._founded(one, "founder", "founded", 1940)
            values[one, "located_in"], values[one, "director"] = rng.choice(self.cities), self._living()
            values[one, "holdings"] = rng.randint(1_200, 760_000)
        business = rng.sample(self.cities, 60)
        for one in self.companies:
            self._founded(one, "set_up_by", "set_up", 1990)
            values[one, "headquarters"], values[one, "chief"] = rng.choice(business), self._living()
            values[one, "employees"] = rng.randint(110, 48_000)
        for person in self.people:
            open_then = [one for one in self.institutions if values[one, "founded"] < values[person, "birth_year"] + 16]
            if open_then and rng.random() < 0.8:
                values[person, "studied_at"] = rng.choice(open_then)

    def _works(self) -> None:
        rng, values = self.rng, self.values
        for creator in rng.sample([one for one in self.people if values[one, "birth_year"] < 1960], _CREATORS):
            born = values[creator, "birth_year"]
            last = min(values.get((creator, "death_year"), NOW), born + 75)
            count = rng.randint(3, 8)
            for year in rng.sample(range(born + 19, last), count):
                work = self._add("work", self.names.title())
                values[work, "creator"], values[work, "completed"] = creator, year
                values[work, "depicts"] = rng.choice(self.cities)
                values[work, "held_by"] = rng.choice(self.institutions)

    def _happenings(self) -> None:
        rng, values = self.rng, self.values
        for _ in range(_SIZES["event"]):
            english, chinese = kind = self._kind("event")
            event = self._add("event", self._stemmed(f"{{}} {english.title()}", f"{{}}{chinese}"), kind)
            opener = rng.choice(self.people)
            values[event, "held_year"] = min(values[opener, "birth_year"] + rng.randint(30, 47), NOW)
            values[event, "held_in"], values[event, "opened_by"] = rng.choice(self.cities), opener
        for _ in range(_SIZES["prize"]):
            prize = self._add("prize", self._stemmed("{} Prize", "{}奖"))
            honoured = rng.choice([one for one in self.people if values[one, "birth_year"] < 1840])
            values[prize, "named_after"], values[prize, "awarded_by"] = honoured, rng.choice(self.institutions)
            start = values[prize, "established"] = values[honoured, "birth_year"] + rng.randint(50, 90)
            able = [one for one in self.people if values[one, "birth_year"] > start - 25 and (one, "won") not in values]
            for person in rng.sample(able, min(len(able), rng.randint(4, 7))):
                year = values[person, "birth_year"] + rng.randint(26, 45)
                if year <= NOW and not any(
                    values.get((other, "won")) == prize and values[other, "won_year"] == year for other in able
                ):
                    values[person, "won"], values[person, "won_year"] = prize, year

    def _change(self) -> None:
        changing = [name for name, relation in RELATIONS.items() if relation.changing]
        for thing in self.base.things:
            mine = [name for name in changing if (thing.index, name) in self.values]
            if mine and self.rng.random() < _REVISED:
                self.base.old |= {(thing.index, name): self._other(thing.index, name) for name in mine}

    def _withhold(self) -> None:
        """Some facts are stated nowhere, and of some, whether stated or not, the forum has a value of its own."""
        for fact in list(self.values):
            if fact[1] not in _NEVER_MISSING and fact not in self.base.old and self.rng.random() < _MISSING:
                if self.rng.random() < 0.4:
                    self.base.rumours[fact] = self._other(*fact)
                del self.values[fact]
                self.base.missing.append(fact)
            elif fact not in self.base.old and self.rng.random() < _RUMOURED:
                self.base.rumours[fact] = self._other(*fact)

    def _other(self, subject: int, relation: str) -> int:
        """A value of the same sort that is not the true one."""
        value = self.values[subject, relation]
        match RELATIONS[relation].value:
            case "year":
                return value + self.rng.choice((-1, 1)) * self.rng.randint(2, 11)
            case "amount":
                return max(7, round(value * self.rng.choice((0.62, 0.71, 0.83, 1.13, 1.29)))) + self.rng.randint(1, 6)
            case "person":
                pool = [one for one in self.people if one not in (value, subject)]
            case type_:
                pool = [one.index for one in self.base.of_type(type_) if one.index not in (value, subject)]
        return self.rng.choice(pool)
