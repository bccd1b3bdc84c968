"""A support desk of real size, as a world document: 500 users, 300 flights, 2,000 reservations, about 3 MB as JSON.

Made by a program, since nobody wants to read so many names; the records hold what such a system holds, long texts
included, so that copying and hashing them costs what it costs there.
"""

import random
from functools import lru_cache
from typing import Any

from simulators.worlds import WorldSpec, parse

__all__ = ["USERS", "FLIGHTS", "RESERVATIONS", "support_desk"]

USERS, FLIGHTS, RESERVATIONS = 500, 300, 2000
_SYLLABLES = ("ba", "den", "ko", "li", "mar", "no", "ri", "sa", "tel", "vi")
_WORDS = (
    "aisle", "agreed", "baggage", "called", "confirmed", "delay", "desk", "email", "family", "gate", "guest", "holiday",
    "invoice", "later", "meal", "noted", "office", "paid", "query", "refund", "seat", "ticket", "upgrade", "voucher",
)  # fmt: skip


@lru_cache(maxsize=1)
def support_desk() -> WorldSpec:
    """The world; the same object every time."""
    rng = random.Random(20250720)
    return parse(
        {
            "name": "support_desk",
            "title": "Support desk of an airline",
            "instructions": "You run the support desk of an airline. Never change a reservation that is flown: decline with"
            " reason flown. Otherwise do what is asked.",
            "entities": {
                "user": {"count": USERS, "digits": 6, "fields": _user_fields(rng)},
                "flight": {"count": FLIGHTS, "digits": 6, "fields": _flight_fields(rng)},
                "reservation": {"count": RESERVATIONS, "digits": 6, "fields": _reservation_fields(rng)},
            },
            "operations": _operations(),
            "policies": [
                {
                    "id": "flown",
                    "text": "Never change or cancel a reservation that is flown.",
                    "operations": ["cancel_reservation", "set_bags", "move_reservation"],
                    "entity": "reservation",
                    "forbids_when": {"left": {"field": "reservation.status"}, "op": "equal", "right": "flown"},
                    "reason": "flown",
                }
            ],
        },
        "support_desk",
    )


def _user_fields(rng: random.Random) -> dict[str, Any]:
    return {
        "name": _text(_unique(rng, USERS, 4), unique=True),
        "email": _text([f"{name}@mail.test" for name in _unique(rng, USERS, 5)], unique=True),
        "level": {"type": "enum", "values": ["basic", "silver", "gold"]},
        "balance": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
        "street": _text(_unique(rng, 200, 6)),
        "active": {"type": "boolean"},
        "history": _text([_prose(rng, 100) for _ in range(50)], max_length=1000),
        "views": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "volatile": True},
    }


def _flight_fields(rng: random.Random) -> dict[str, Any]:
    cities = _unique(rng, 40, 3)
    return {
        "number": _text([f"OR{number}" for number in range(1000, 1000 + FLIGHTS)], unique=True),
        "origin": _text(cities),
        "destination": _text(cities),
        "departs": {"type": "integer", "minimum": 0, "maximum": 1439},
        "seats": {"type": "integer", "minimum": 0, "maximum": 400, "draw": list(range(20, 200))},
        "fare": {"type": "integer", "minimum": 0, "maximum": 100_000},
        "notice": _text([_prose(rng, 100) for _ in range(50)], max_length=1000),
    }


def _reservation_fields(rng: random.Random) -> dict[str, Any]:
    notes = [_prose(rng, 110) for _ in range(200)]
    return {
        "user": {"type": "reference", "entity": "user"},
        "flight": {"type": "reference", "entity": "flight"},
        "code": _text(_unique(rng, RESERVATIONS, 5), unique=True),
        "status": {"type": "enum", "values": ["booked", "paid", "flown"]},
        "cabin": {"type": "enum", "values": ["economy", "business"]},
        "bags": {"type": "integer", "minimum": 0, "maximum": 5, "draw": [0, 1, 2, 3]},
        "price": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
        "insured": {"type": "boolean"},
        "meal": {"type": "enum", "values": ["none", "meat", "plants"]},
        "notes": _text(notes, max_length=1000),
        "contact": _text([_prose(rng, 30) for _ in range(100)], max_length=400),
        "views": {"type": "integer", "minimum": 0, "maximum": 1_000_000, "volatile": True},
    }


def _text(draw: list[str], *, unique: bool = False, max_length: int = 60) -> dict[str, Any]:
    return {"type": "text", "draw": draw, "max_length": max_length} | ({"unique": True} if unique else {})


def _unique(rng: random.Random, count: int, syllables: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choice(_SYLLABLES) for _ in range(syllables)).capitalize()] = None
    return list(found)


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(words))


def _operations() -> dict[str, Any]:
    reservation = {"reservation_id": {"key_of": "reservation"}}
    flight = {"flight": {"entity": "flight", "key": {"field": "reservation.flight"}}}
    user = {"user": {"entity": "user", "key": {"field": "reservation.user"}}}

    def operation(kind: str, entity: str, description: str, **parts: Any) -> dict[str, Any]:
        return {"kind": kind, "entity": entity, "description": description} | parts

    def add(record: str, field: str, amount: Any) -> dict[str, Any]:
        return {"add": {"record": record, "field": field, "amount": amount}}

    return {
        "get_reservation": operation(
            "read", "reservation", "Read a reservation.", arguments=reservation, records=flight | user,
            returns={"number": {"field": "flight.number"}, "user": {"field": "user.name"},
                     "status": {"field": "reservation.status"}, "bags": {"field": "reservation.bags"}},
        ),
        "find_user": operation(
            "search", "user", "Find a user by e-mail address.", arguments={"email": {"value_of": "user.email"}},
            match=[{"left": {"field": "user.email"}, "op": "equal", "right": {"argument": "email"}}],
            returns={"user_id": {"key": "user"}, "level": {"field": "user.level"}},
        ),
        "find_reservations": operation(
            "search", "reservation", "Find the reservations of a user by name.",
            arguments={"name": {"value_of": "user.name"}}, records=user,
            match=[{"left": {"field": "user.name"}, "op": "equal", "right": {"argument": "name"}}],
            returns={"reservation_id": {"key": "reservation"}, "status": {"field": "reservation.status"}},
        ),
        "set_bags": operation(
            "update", "reservation", "Set the number of bags of a reservation.",
            arguments=reservation | {"bags": {"schema": {"type": "integer", "minimum": 0, "maximum": 5}}},
            require=[{"left": {"field": "reservation.bags"}, "op": "not_equal", "right": {"argument": "bags"},
                      "error": "the reservation has this number of bags"}],
            effects=[{"set": {"record": "reservation", "fields": {"bags": {"argument": "bags"}}}},
                     add("reservation", "views", 1)],
            returns={"bags": {"field": "reservation.bags"}},
        ),
        "move_reservation": operation(
            "update", "reservation", "Move a reservation to another flight.",
            arguments=reservation | {"flight_id": {"key_of": "flight"}},
            records={"old": {"entity": "flight", "key": {"field": "reservation.flight"}},
                     "new": {"entity": "flight", "key": {"argument": "flight_id"}}},
            require=[{"left": {"key": "new"}, "op": "not_equal", "right": {"key": "old"},
                      "error": "the reservation is on this flight"}],
            effects=[add("old", "seats", 1), add("new", "seats", -1),
                     {"set": {"record": "reservation", "fields": {"flight": {"key": "new"}}}}],
            returns={"number": {"field": "new.number"}},
        ),
        "cancel_reservation": operation(
            "delete", "reservation", "Cancel a reservation and free its seat.", arguments=reservation, records=flight,
            effects=[add("flight", "seats", 1), {"delete": {"record": "reservation"}}],
            returns={"cancelled": {"argument": "reservation_id"}},
        ),
        "decline_request": operation(
            "decline", "reservation", "Decline a request about a reservation.",
            arguments=reservation | {"reason": {"reason": True}},
        ),
    }  # fmt: skip
