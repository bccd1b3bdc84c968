"""Answers English questions from what the tools tell and nothing else: a second way to every answer, that knows no facts."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from simulators.playable import PlayableState

_CLAUSES = {
    "defects": r"Warranty: .*? (\d+) months",
    "notice must": r"Notice: .*? (\d+) days",
    "each day of delay": r"Late delivery: .*? (\d+) EUR",
    "are invoices due": r"Payment: .*? (\d+) days",
    "complaint be answered": r"Complaints: .*? (\d+) working",
}


class Reader:
    """The whole folder, read through the tools."""

    def __init__(self, state: PlayableState) -> None:
        self._state = state
        self.pages: dict[str, list[str]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.lines: dict[str, list[str]] = {}
        self.images: dict[str, str] = {}
        for item in self.call("list_files")["files"]:
            name = item["file"]
            if "pages" in item:
                told = self.call("read_pages", file=name, first=1, last=item["pages"])["pages"]
                self.pages[name] = [page["text"] for page in told]
            for sheet in item.get("sheets", ()):
                self.rows[f"{name}#{sheet}"] = self._table(name, sheet)
            if "lines" in item:
                told = self.call("read_text", file=name, first_line=1, last_line=item["lines"])["lines"]
                self.lines[name] = [line["text"] for line in told]
            if name.endswith(".png"):
                self.images[name] = self.call("read_image_text", file=name)["text"]
        self.amendments = sorted(
            (re.search(r"\d{4}-\d\d-\d\d", pages[0])[0], pages[0], pages[1])
            for name, pages in self.pages.items()
            if name.startswith("amendment") and "DRAFT" not in pages[0]
        )

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self._state.call(tool, arguments)
        assert not result.isError, result.content
        return json.loads(result.content)

    def _table(self, name: str, sheet: str) -> list[dict[str, Any]]:
        for header in (1, 3, 4):
            first = self._state.call("query_sheet", {"file": name, "sheet": sheet, "header_row": header})
            if not first.isError and len(rows := json.loads(first.content)["rows"]) and len(rows[0]) > 2:
                return rows
        return []

    def ledger(self, **wanted: Any) -> list[dict[str, Any]]:
        rows = self.rows["ledger.xlsx#Ledger"]
        return [row for row in rows if all(row[key.capitalize()] == value for key, value in wanted.items())]

    def person(self, name: str) -> dict[str, Any]:
        return next(row for row in self.rows["staff.xlsx#People"] if row["Name"] == name)

    def head_of(self, department: str) -> str:
        return next(row["Head"] for row in self.rows["staff.xlsx#Departments"] if row["Department"] == department)

    def contract(self, mark: str) -> list[str]:
        """The pages of the contract with this number or supplier."""
        return next(pages for name, pages in self.pages.items() if name.startswith("contract") and mark in name + pages[0])

    def minutes(self) -> str:
        return "\n".join(self.lines["minutes.txt"])


def solve(prompt: str, state: PlayableState) -> str | None:
    """The answer as text; None where the files do not state it."""
    question, reader = prompt.split("\n\n")[1], Reader(state)
    return next(
        found
        for pattern, way in _WAYS.items()
        if (match := re.search(pattern, question, re.DOTALL))
        for found in [way(reader, match)]
    )


def _sum(values: Any) -> Decimal:
    return sum((Decimal(str(value)) for value in values), Decimal(0))


def _money(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _paid(reader: Reader, found: re.Match[str]) -> str:
    supplier = found[1]
    total = _sum(row["Amount"] for row in reader.ledger(supplier=supplier))
    total += _sum(_money(re.search(r"TOTAL ([\d,.]+)", text)[1]) for text in reader.images.values() if supplier in text)
    if "deposits" in found.string:
        total += _sum(map(_money, re.findall(rf"A deposit of ([\d,.]+) EUR was paid to {re.escape(supplier)}", reader.minutes())))
    if "refund" in found.string:
        total -= _sum(map(_money, re.findall(rf"{re.escape(supplier)} refunded ([\d,.]+)", reader.minutes())))
    return f"{total:.2f}"


def _total_price(pages: list[str]) -> str:
    return re.findall(r"[\d,]+\.\d\d", pages[1])[-1].replace(",", "")


def _in_charge(reader: Reader, found: re.Match[str]) -> str:
    who = found[1]
    if who.startswith("the head of "):
        who = reader.head_of(who.removeprefix("the head of "))
    taken = re.search(rf"{who} takes over contract (CT-\d+)", reader.minutes()) if "now" in found.string else None
    return _total_price(reader.contract(taken[1] if taken else reader.person(who)["Contract in charge"]))


def _current_total(reader: Reader, found: re.Match[str]) -> str:
    pages = reader.contract(found[1])
    number = re.search(r"CT-\d+", pages[0])[0]
    newest = [terms for _, first, terms in reader.amendments if number in first][-1]
    price = _money(re.search(r"is ([\d,]+\.\d\d) EUR", newest)[1])
    quantity = re.search(r"\b(\d+)\s+[\d,]+\.\d\d\s", pages[1])[1]
    return f"{price * int(quantity):.2f}"


def _department_of(reader: Reader, head: str) -> str:
    return next(row["Department"] for row in reader.rows["staff.xlsx#Departments"] if row["Head"] == head)


def _period(reader: Reader, found: re.Match[str]) -> str:
    days = re.findall(r"\d{4}-\d\d-\d\d", found.string)
    if not days:
        days = list(re.search(r"from (\S+) to (\S+), both", reader.minutes()).groups())
    rows = reader.ledger(department=_department_of(reader, found[1]))
    return f"{_sum(row['Amount'] for row in rows if days[0] <= row['Date'] <= days[1]):.2f}"


def _category(reader: Reader, found: re.Match[str]) -> str:
    return f"{_sum(row['Amount'] for row in reader.ledger(category=found[1], department=_department_of(reader, found[2]))):.2f}"


def _left(reader: Reader, found: re.Match[str]) -> str:
    whose = found[1]
    if head := re.fullmatch(r"the department that (.*) heads", whose):
        whose = _department_of(reader, head[1])
    versions = []
    for item in reader.call("list_files")["files"]:
        if item["file"].startswith("budget"):
            cells = reader.call("read_range", file=item["file"], sheet="Budget", cells="A1:B10")["cells"]
            row = next(at.removeprefix("A") for at, value in cells.items() if value == whose)
            versions.append((cells["B2"], Decimal(str(cells[f"B{row}"]))))
    left = max(versions)[1] - _sum(row["Amount"] for row in reader.ledger(department=whose))
    if "receipts" in found.string:
        centres = {row["Department"]: row["Cost centre"] for row in reader.rows["staff.xlsx#Departments"]}
        mine = [text for text in reader.images.values() if re.search(rf"{centres[whose]}\b", text)]
        left -= _sum(_money(re.search(r"TOTAL ([\d,.]+)", text)[1]) for text in mine)
    return f"{left:.2f}"


def _order(reader: Reader, found: re.Match[str]) -> str:
    dated = {letter: _day(reader, event) for letter, event in re.findall(r"^([A-F]): (.*)$", found.string, re.MULTILINE)}
    return ", ".join(sorted(dated, key=dated.__getitem__))


def _day(reader: Reader, event: str) -> str:
    if found := re.fullmatch(r"contract (\S+) was signed", event):
        text = reader.contract(found[1])[0]
    elif found := re.search(r"new unit price is (\S+) was", event):
        text = next(first for _, first, terms in reader.amendments if f"is {found[1]} EUR" in terms)
    elif found := re.fullmatch(r"receipt (\S+) was issued", event):
        text = reader.images[f"receipt_{found[1]}.png"]
    elif event.startswith("the meeting"):
        text = reader.minutes()
    else:
        text = next(slide for slide in reader.pages["review.pptx"] if event in slide)
    return re.search(r"\d{4}-\d\d-\d\d", text)[0]


def _clause(reader: Reader, found: re.Match[str]) -> str | None:
    mark = found[1].removeprefix("contract ").removeprefix("the contract with ")
    if person := re.fullmatch(r"the contract that (.*) is in charge of", mark):
        mark = reader.person(person[1])["Contract in charge"]
    pattern = next(pattern for words, pattern in _CLAUSES.items() if words in found[2])
    stated = re.search(pattern, " ".join(reader.contract(mark)).replace("\n", " "))
    return stated[1] if stated else None


def _against_limit(reader: Reader, found: re.Match[str]) -> str:
    site, days = found[1], re.findall(r"\d{4}-\d\d-\d\d", found.string)
    rows = [line.split(",") for line in reader.lines["readings.csv"]]
    read = [int(litres) for day, where, litres in rows[1:] if where == site and days[0] <= day <= days[-1]]
    limits = reader.pages["handbook.docx"][1]
    limit = Decimal(re.search(rf"{site}\t([\d.]+)", limits)[1])
    size = 1000 if "cubic" in limits else int(re.search(r"One tank holds (\d+)", reader.pages["handbook.docx"][2])[1])
    return str(abs(int(sum(read) - len(read) * limit * size)))


def _overcharge(reader: Reader, found: re.Match[str]) -> str:
    off = []
    for line in reader.lines["invoices.csv"][1:]:
        _, day, number, quantity, price, _ = line.split(",")
        prices = [_money(re.findall(r"[\d,]+\.\d\d", reader.contract(number)[1])[0])]
        prices += [
            _money(re.search(r"is ([\d,]+\.\d\d) EUR", terms)[1])
            for signed, first, terms in reader.amendments
            if number in first and signed <= day
        ]
        off += [abs(prices[-1] - Decimal(price)) * int(quantity)] if prices[-1] != Decimal(price) else []
    assert len(off) == 1
    return f"{off[0]:.2f}"


def _extension(reader: Reader, found: re.Match[str]) -> str:
    question = found.string
    if entry := re.search(r"ledger entry (\S+) was", question):
        department = reader.ledger(entry=entry[1])[0]["Department"]
    elif supplier := re.search(r"largest ledger entry for (.*) was", question):
        department = max(reader.ledger(supplier=supplier[1]), key=lambda row: row["Amount"])["Department"]
    else:
        dearer = max(reader.images.values(), key=lambda text: _money(re.search(r"TOTAL ([\d,.]+)", text)[1]))
        centre = re.search(r"K-\d+", dearer)[0]
        department = next(row["Department"] for row in reader.rows["staff.xlsx#Departments"] if row["Cost centre"] == centre)
    return str(reader.person(reader.head_of(department))["Extension"])


_WAYS: Mapping[str, Callable[[Reader, re.Match[str]], str | None]] = {
    r"How much was paid to (.*?) in all": _paid,
    r"total price of the contract that (.*?) is in charge of": _in_charge,
    r"total price of the contract with (.*?) now": _current_total,
    r"ledger entries in category (.*?) of the department that (.*?) heads": _category,
    r"ledger entries of the department that (.*?) heads (?:from|within)": _period,
    r"how much of the budget of (.*?) is left": _left,
    r"In which order": _order,
    r"By (contract \S+|the contract .*?), (.*)\?": _clause,
    r" read at (.*?) on ": _against_limit,
    r"One invoice": _overcharge,
    r"Which extension": _extension,
}
