"""A world that uses the whole language: money, dates, quantities, null, and every kind of operation."""

from typing import Any

from simulators.worlds import WorldSpec, parse

__all__ = ["bank", "bank_document"]


def bank_document() -> dict[str, Any]:
    account = {"account_id": {"key_of": "account"}}
    amount = {"amount": {"value_of": "account.balance"}}

    def compare(left: Any, op: str, right: Any, **more: Any) -> dict[str, Any]:
        return {"left": left, "op": op, "right": right} | more

    def field(name: str) -> dict[str, str]:
        return {"field": name}

    return {
        "name": "bank",
        "title": "Savings bank",
        "instructions": "You run a savings bank. Never touch an account that is frozen: decline with reason frozen.",
        "entities": {
            "branch": {"count": 2, "fields": {
                "city": {"type": "text", "unique": True, "draw": ["Bern", "Oslo", "Rome"]},
                "boxes": {"type": "quantity", "unit": "boxes", "minimum": 0, "maximum": 50, "draw": [0, 1, 5]},
            }},
            "account": {"count": 6, "fields": {
                "branch": {"type": "reference", "entity": "branch"},
                "owner": {"type": "text", "unique": True, "draw": ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus"]},
                "balance": {"type": "money", "currency": "CHF", "minimum": 0, "maximum": 100_000},
                "opened": {"type": "date", "earliest": "2024-02-27", "latest": "2024-03-02"},
                "status": {"type": "enum", "values": ["active", "frozen", "closed"]},
                "adviser": {"type": "text", "draw": ["Kim", "Lou"], "nullable": True},
                "seen": {"type": "integer", "minimum": 0, "maximum": 999, "draw": [0], "volatile": True},
            }},
            "rental": {"count": 1, "capacity": 30, "fields": {
                "account": {"type": "reference", "entity": "account"},
                "boxes": {"type": "quantity", "unit": "boxes", "minimum": 1, "maximum": 9},
                "until": {"type": "date", "earliest": "2024-01-01", "latest": "2030-12-31"},
            }},
            "letter": {"count": 1, "capacity": 30, "fields": {
                "account": {"type": "reference", "entity": "account"},
                "text": {"type": "text", "draw": ["Welcome."], "max_length": 20},
            }},
        },
        "operations": {
            "get_account": {
                "kind": "read", "entity": "account", "description": "Read an account.", "arguments": account,
                "returns": {"owner": field("account.owner"), "balance": field("account.balance"),
                            "opened": field("account.opened"), "adviser": field("account.adviser"),
                            "fee": {"percent": [field("account.balance"), 3]},
                            "review": {"days_after": [field("account.opened"), 365]},
                            "age": {"days_between": [field("account.opened"), "2024-03-31"]}},
            },
            "list_accounts": {
                "kind": "list", "entity": "account", "description": "List accounts, richest first.", "page_size": 2,
                "arguments": {"status": {"value_of": "account.status", "optional": True},
                              "since": {"value_of": "account.opened", "optional": True},
                              "city": {"value_of": "branch.city", "optional": True}},
                "records": {"branch": {"entity": "branch", "key": field("account.branch")}},
                "match": [compare(field("account.status"), "equal", {"argument": "status"}),
                          compare(field("account.opened"), "at_least", {"argument": "since"}),
                          compare(field("branch.city"), "equal", {"argument": "city"})],
                "sort": {"by": field("account.balance"), "descending": True},
                "returns": {"account_id": {"key": "account"}, "balance": field("account.balance")},
            },
            "sum_up": {
                "kind": "compute", "entity": "account", "description": "Totals over accounts.",
                "arguments": {"status": {"value_of": "account.status", "optional": True}},
                "match": [compare(field("account.status"), "equal", {"argument": "status"})],
                "totals": {"accounts": {"count": True}, "money": {"sum": field("account.balance")},
                           "first": {"least": field("account.opened")}, "richest": {"most": field("account.balance")}},
            },
            "freeze": {
                "kind": "transition", "entity": "account", "description": "Freeze an account.", "arguments": account,
                "transition": {"field": "status", "from": ["active"], "to": "frozen"},
                "returns": {"status": field("account.status")},
            },
            "transfer": {
                "kind": "transfer", "entity": "account", "description": "Move money between two accounts.",
                "arguments": {**account, "to_account_id": {"key_of": "account"}, **amount},
                "records": {"payee": {"entity": "account", "key": {"argument": "to_account_id"}}},
                "transfer": {"from": "account", "to": "payee", "field": "balance", "amount": {"argument": "amount"}},
                "returns": {"left": field("account.balance")},
            },
            "rent_boxes": {
                "kind": "reserve", "entity": "rental", "description": "Rent boxes at an account's branch.",
                "arguments": {**account, "boxes": {"value_of": "rental.boxes"}},
                "records": {"account": {"entity": "account", "key": {"argument": "account_id"}},
                            "branch": {"entity": "branch", "key": field("account.branch")}},
                "reserve": {"record": "branch", "field": "boxes", "amount": {"argument": "boxes"}},
                "effects": [{"create": {"record": "rental", "entity": "rental", "fields": {
                    "account": {"key": "account"}, "boxes": {"argument": "boxes"},
                    "until": {"days_after": [field("account.opened"), 30]}}}}],
                "returns": {"rental_id": {"key": "rental"}, "until": field("rental.until")},
            },
            "write_letter": {
                "kind": "notify", "entity": "account", "description": "Write to an owner.",
                "arguments": {**account, "text": {"schema": {"type": "string", "minLength": 1, "maxLength": 20}}},
                "effects": [{"create": {"record": "letter", "entity": "letter", "fields": {
                    "account": {"key": "account"}, "text": {"argument": "text"}}}}],
                "returns": {"letter_id": {"key": "letter"}},
            },
            "drop_adviser": {
                "kind": "update", "entity": "account", "description": "Leave an account without adviser.",
                "arguments": account,
                "require": [compare(field("account.adviser"), "not_equal", None, error="there is no adviser")],
                "effects": [{"set": {"record": "account", "fields": {"adviser": None}}}],
                "returns": {"adviser": field("account.adviser")},
            },
            "close_accounts": {
                "kind": "batch", "entity": "account", "description": "Close several empty accounts.",
                "arguments": {"account_ids": {"keys_of": "account", "maximum": 3}},
                "require": [compare(field("account.status"), "not_equal", "closed", error="closed already")],
                "effects": [{"set": {"record": "account", "fields": {"status": "closed"}}},
                            {"add": {"record": "account", "field": "seen", "amount": 1}}],
                "returns": {"account_id": {"key": "account"}, "status": field("account.status")},
            },
            "decline_request": {
                "kind": "decline", "entity": "account", "description": "Decline a request.",
                "arguments": {**account, "reason": {"reason": True}},
            },
        },
        "policies": [{
            "id": "frozen_accounts", "text": "Never touch an account that is frozen.", "reason": "frozen",
            "operations": ["transfer", "drop_adviser"], "entity": "account",
            "forbids_when": compare(field("account.status"), "equal", "frozen"),
        }],
        "invariants": [
            {"name": "money_is_only_moved", "constant": "account.balance"},
            {"name": "boxes_are_counted", "entity": "branch", "holds": compare(field("branch.boxes"), "at_least", 0)},
        ],
    }  # fmt: skip


def bank() -> WorldSpec:
    return parse(bank_document())
