"""What is asked about a folder: each family makes a question with its answer, and knows which facts it rests on."""

from collections.abc import Callable, Mapping
from typing import Final

from simulators.tasks.documents.families import contracts, events, tables
from simulators.tasks.documents.families.question import Desk, Question

__all__ = ["Desk", "Question", "question_of"]

_MAKERS: Final[Mapping[str, Callable[[Desk], Question]]] = {
    "cross_file_sum": tables.cross_file_sum,
    "person_lookup": contracts.person_lookup,
    "version_conflict": contracts.version_conflict,
    "filtered_total": tables.filtered_total,
    "budget_left": tables.budget_left,
    "timeline": events.timeline,
    "missing_information": contracts.missing_information,
    "unit_conversion": events.unit_conversion,
    "discrepancy": contracts.discrepancy,
    "reverse_lookup": tables.reverse_lookup,
}


def question_of(desk: Desk) -> Question:
    """The question about the folder on the desk."""
    return _MAKERS[desk.recipe.family](desk)
