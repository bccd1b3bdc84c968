"""Words to draw texts from: enough different ones that labels are unique, plain enough that anybody can type them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["VOCABULARIES"]

_FIRST = (
    "Ada", "Amir", "Ana", "Ben", "Bao", "Carla", "Chen", "Dana", "Dev", "Elif", "Emma", "Femi", "Finn", "Gita", "Goran",
    "Hana", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Kaya", "Karl", "Lea", "Liam", "Mei", "Milan", "Nadia", "Noah",
    "Olga", "Omar", "Petra", "Raj", "Rosa", "Sami", "Sofia", "Tariq", "Uma", "Vera", "Yusuf", "Zoe",
)  # fmt: skip
_LAST = (
    "Abel", "Adler", "Bauer", "Bianchi", "Castro", "Costa", "Diaz", "Eklund", "Ferrari", "Fischer", "Garcia", "Haas",
    "Haddad", "Ito", "Jansen", "Kaya", "Keller", "Khan", "Kim", "Larsen", "Lopez", "Maier", "Mbeki", "Meyer", "Moreau",
    "Nakamura", "Novak", "Okafor", "Olsen", "Park", "Patel", "Quinn", "Reyes", "Rossi", "Sato", "Silva", "Singh", "Torres",
    "Weber", "Yilmaz", "Zhang",
)  # fmt: skip
_CITIES = (
    "Athens", "Basel", "Bergen", "Bern", "Bilbao", "Bologna", "Bremen", "Brno", "Cadiz", "Cork", "Delft", "Dublin", "Essen",
    "Faro", "Gdansk", "Geneva", "Ghent", "Graz", "Hamar", "Kazan", "Kiel", "Kosice", "Leeds", "Lille", "Linz", "Lisbon",
    "Lund", "Lyon", "Malmo", "Milan", "Nantes", "Naples", "Nice", "Odense", "Oslo", "Parma", "Porto", "Prague", "Riga",
    "Rome", "Rouen", "Sofia", "Split", "Tartu", "Trier", "Turin", "Turku", "Ulm", "Utrecht", "Verona", "Vienna", "Vilnius",
    "York", "Zagreb", "Zurich",
)  # fmt: skip
_STREETS = ("Oak", "Mill", "Station", "Church", "Market", "Lake", "Hill", "Park", "River", "School", "Garden", "Bridge")
_ADJECTIVES = (
    "Amber", "Arctic", "Atlas", "Blue", "Bright", "Cedar", "Clear", "Coral", "Crest", "Delta", "Eagle", "Echo", "Ember",
    "Falcon", "Fern", "Golden", "Granite", "Green", "Harbor", "Indigo", "Iron", "Ivory", "Jade", "Juniper", "Lunar", "Maple",
    "Meridian", "North", "Nova", "Ocean", "Onyx", "Orchid", "Pearl", "Pine", "Polar", "Quartz", "Red", "Ridge", "River",
    "Ruby", "Silver", "Solar", "Stone", "Summit", "Swift", "Tidal", "Topaz", "Velvet", "Violet", "Willow",
)  # fmt: skip
_COMPANIES = ("Group", "Labs", "Partners", "Works", "Supply", "Systems", "Traders", "Services", "Studio", "Logistics")
_PRODUCTS = ("Basic", "Plus", "Pro", "Mini", "Max", "One", "Air", "Core", "Lite", "Prime")
_SUBJECTS = (
    "Annual", "Budget", "Customer", "Daily", "Data", "Field", "Final", "First", "Harvest", "Health", "Home", "Local",
    "Member", "Monthly", "Office", "Open", "Project", "Quality", "Quarterly", "Safety", "Site", "Spring", "Staff", "Summer",
    "Supplier", "Team", "Training", "Travel", "Weekly", "Winter",
)  # fmt: skip
_TOPICS = (
    "Audit", "Briefing", "Campaign", "Checklist", "Course", "Guide", "Handbook", "Inspection", "Inventory", "Meeting", "Plan",
    "Policy", "Program", "Report", "Review", "Schedule", "Session", "Summary", "Survey", "Workshop",
)  # fmt: skip
_NOTES = (
    "Call back tomorrow", "Agreed by phone", "Waiting for papers", "Checked twice", "Prefers e-mail", "Leave at the desk",
    "Needs a signature", "First time here", "Second reminder", "Paid in full", "Ask for a receipt", "Keep it cool",
    "Handle with care", "Bring identification", "Ring the bell", "Not before noon", "Two copies, please", "All in order",
)  # fmt: skip
_COLOURS = ("black", "white", "red", "blue", "green", "yellow", "brown", "grey", "orange", "silver")
_COUNTRIES = (
    "Austria", "Belgium", "Brazil", "Canada", "Chile", "Denmark", "Egypt", "Estonia", "Finland", "France", "Germany", "Ghana",
    "Greece", "India", "Ireland", "Italy", "Japan", "Kenya", "Latvia", "Mexico", "Norway", "Peru", "Poland", "Portugal",
    "Spain", "Sweden", "Turkey", "Vietnam",
)  # fmt: skip
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def _pairs(first: Sequence[str], second: Sequence[str], joint: str = " ") -> tuple[str, ...]:
    """Every pair, in an order in which neighbours differ in both parts."""
    size = len(second)
    return tuple(f"{first[(i + j) % len(first)]}{joint}{second[j]}" for i, j in itertools.product(range(len(first)), range(size)))


VOCABULARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "person": _pairs(_FIRST, _LAST),
    "company": _pairs(_ADJECTIVES, _COMPANIES),
    "product": _pairs(_ADJECTIVES, _PRODUCTS),
    "place": _pairs(_ADJECTIVES, ("Hall", "House", "Point", "Court", "Gate", "Center", "Yard", "Lodge", "Terrace", "Arena")),
    "title": _pairs(_SUBJECTS, _TOPICS),
    "city": _CITIES,
    "country": _COUNTRIES,
    "street": tuple(f"{number} {street} Street" for number, street in itertools.product(range(1, 40), _STREETS)),
    "email": tuple(f"{first}.{last}@mail.test".lower() for first, last in itertools.product(_FIRST, _LAST)),
    "phone": tuple(f"555-{number:04d}" for number in range(1000, 10000, 7)),
    "code": tuple(
        f"{first}{second}-{101 + number}" for number, (first, second) in enumerate(itertools.product(_LETTERS, _LETTERS))
    ),
    "colour": _COLOURS,
    "note": _NOTES,
}
"""By name; persons, companies, products, places, titles, streets, e-mail addresses, phone numbers and codes are many
enough to be labels."""
