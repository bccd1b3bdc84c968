"""What decides a folder: a theme and a number, how large it is, what it is asked about, and the language it is written in."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

from trajectories.canonical import digest
from trajectories.seeds import derive_seed
from trajectories.tasks import RecordPatch

__all__ = ["FAMILIES", "LANGUAGES", "LEVELS", "THEMES", "Recipe", "words"]

THEMES: Final = ("company", "clinic", "school", "project")
LANGUAGES: Final = ("en", "zh")
LEVELS: Final = 3
FAMILIES: Final[Mapping[str, str]] = {
    "cross_file_sum": "payments to one supplier, added up over ledger, receipts and minutes",
    "person_lookup": "from a person in one file to a contract, and to its price in another",
    "version_conflict": "a price that later amendments changed, the last signed one being right",
    "filtered_total": "the sum of the rows of a table that fit conditions, some of which stand in other files",
    "budget_left": "the newer of two budgets less what was spent by other files",
    "timeline": "the order of events that are dated in different files",
    "missing_information": "a clause of a contract, which may not be there",
    "unit_conversion": "readings in one unit against a limit in another",
    "discrepancy": "the invoice whose price is not that of its contract at its date",
    "reverse_lookup": "from an amount through a department to the extension of its head",
}


@lru_cache(maxsize=len(LANGUAGES))
def words(language: str) -> Mapping[str, Any]:
    """The names and sentences of a language."""
    return yaml.safe_load((files(__package__) / "words" / f"{language}.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Recipe:
    theme: str
    number: int
    """Of which all random draws are made."""
    level: int
    family: str
    language: str

    def __post_init__(self) -> None:
        known = self.theme in THEMES and self.family in FAMILIES and self.language in LANGUAGES
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (self.number, self.level))
        if not known or not whole or not 1 <= self.level <= LEVELS:
            raise ValueError(f"documents: no folder is made by the recipe {asdict(self)}")

    def patch(self) -> RecordPatch:
        """How a task carries it."""
        return RecordPatch("folder", "recipe", asdict(self))

    @staticmethod
    def of(seed: int, patches: tuple[RecordPatch, ...]) -> "Recipe":
        """The recipe that a world is prepared with; without one, a recipe that follows from the seed.

        Raises:
            ValueError: for anything else in `patches`, or fields that are no recipe.
        """
        if not patches:
            number = derive_seed(seed, "documents.folder")
            families = tuple(FAMILIES)
            return Recipe(
                THEMES[number % 4], number, 1 + number % LEVELS, families[number % len(families)], LANGUAGES[number // 4 % 2]
            )
        if len(patches) > 1 or (patches[0].entity, patches[0].key) != ("folder", "recipe"):
            raise ValueError("documents: a folder is prepared by one patch, of entity 'folder' with key 'recipe'")
        try:
            return Recipe(**patches[0].fields)
        except TypeError as error:
            raise ValueError(f"documents: the fields of a recipe are theme, number, level, family, language: {error}") from None

    def seed(self, purpose: str) -> int:
        """For draws that are the same in every language."""
        return derive_seed(self.number, f"documents.{purpose}", self.theme, self.family, self.level)

    def identity(self) -> str:
        return digest(asdict(self))[:16]
