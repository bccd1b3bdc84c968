"""Documents: questions about a folder of real files, whose answers name the places that they rest on.

A problem is a theme and a number; facts, files and question follow from it, the same in every language. The agent's tools read
the bytes of the files, never the facts.
"""

import random

from simulators.playable import Playable
from simulators.tasks.documents.drafting import CHEATS, draft_of
from simulators.tasks.documents.recipe import FAMILIES, LANGUAGES, LEVELS, THEMES, Recipe
from simulators.tasks.documents.tools import documents_world
from simulators.tasks.domains.protocol import Draft, Problem

__all__ = ["DOMAIN", "DocumentsDomain"]


class DocumentsDomain:
    """Folders of a company, a clinic, a school or a building project; see docs/gym/documents.md."""

    name = "documents"
    about = "questions over PDF, XLSX, CSV, PPTX, DOCX, TXT and image files, answered with citations that are checked"
    families = FAMILIES
    levels = LEVELS
    languages = LANGUAGES
    cheats = CHEATS

    def draw(self, family: str, level: int, rng: random.Random) -> Problem:
        return {"theme": rng.choice(THEMES), "number": rng.randrange(2**53), "level": level}

    def render(self, problem: Problem, family: str, level: int, language: str) -> Draft:
        return draft_of(Recipe(problem["theme"], problem["number"], problem["level"], family, language))

    def world(self) -> Playable:
        return documents_world()


DOMAIN = DocumentsDomain()
