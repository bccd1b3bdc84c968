"""Readers of the finished prompts, written apart from the generators: each works an answer out of the text alone (English)."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict

NUMBER = r"(\d+)"


def solve(family: str, prompt: str) -> list[str] | None:
    """The parts of the answer, where there is a reader for the family."""
    document, question = prompt.split("\n\n", 1)[1].rsplit("\n\n", 1)
    return SOLVERS[family](document, question.rsplit("\n", 1)[0])


def _key_of(document: str, town: str, label: str) -> list[str]:
    """Every number that is said of a key, in the order of the text."""
    patterns = (
        rf"The {label} of {town} is {NUMBER}\.",
        rf"In {town}, the {label} reads {NUMBER}\.",
        rf"Whoever comes to {town} learns that the {label} there is {NUMBER}\.",
        rf"{NUMBER} is the {label} of {town}\.",
        rf"They say in {town} that {NUMBER} has always been the {label}\.",
        rf"A correction: the {label} of {town} given before is wrong, it is {NUMBER}\.",
        rf"The {label} of {town} has been changed to {NUMBER}\.",
        rf"What was said of {town} no longer holds: its {label} is {NUMBER}\.",
    )
    found = [(match.start(), match[1]) for pattern in patterns for match in re.finditer(pattern, document)]
    return [value for _, value in sorted(found)]


def numbers(document: str, question: str) -> list[str]:
    keys = re.findall(r"the ([a-z ]+) of ([A-Z][a-z]+)", question)
    found = [_key_of(document, town, label) for label, town in keys]
    assert all(len(values) == 1 for values in found), "a second occurrence"
    return [values[0] for values in found]


def conflict(document: str, question: str) -> list[str]:
    label, town = re.findall(r"What is the ([a-z ]+) of ([A-Z][a-z]+)\?", question)[0]
    if "latest day" not in question:
        return _key_of(document, town, label)[-1:]
    notes = re.findall(rf"Note of day (\d+): the {label} of {town} is (\d+)\.", document)
    notes += re.findall(rf"As of day (\d+), {town} has (\d+) as its {label}\.", document)
    return [max(notes, key=lambda note: int(note[0]))[1]]


def key_value(document: str, question: str) -> list[str]:
    values = json.loads(document)
    return [values[key] for key in re.findall(r'"([0-9a-f-]{36})"', question)]


def chain(document: str, question: str) -> list[str]:
    known = {name: int(value) for name, value in re.findall(r"Register ([A-Z]{3}) shows (\d+)\.", document)}
    known |= {name: int(value) for value, name in re.findall(r"(\d+) is what register ([A-Z]{3}) shows\.", document)}
    links = [(b, a, int(n)) for b, n, a in re.findall(r"Register (\w{3}) shows (\d+) more than register (\w{3})\.", document)]
    on_top = r"register (\w{3}) shows, register (\w{3}) shows that and (\d+) on top\."
    links += [(b, a, int(n)) for a, b, n in re.findall(on_top, document)]
    links += [(b, a, 0) for b, a in re.findall(r"Register (\w{3}) shows what register (\w{3}) shows\.", document)]
    links += [(b, a, 0) for a, b in re.findall(r"Like register (\w{3}), so register (\w{3})\.", document)]
    for _ in links:
        for name, other, step in links:
            if other in known:
                known[name] = known[other] + step
    asked = re.search(r"Which number does register (\w{3})", question)
    if asked:
        return [str(known[asked[1]])]
    value = int(re.search(r"show (\d+)\?", question)[1])
    return sorted(name for name in known if known[name] == value)


def moved(document: str, question: str) -> list[str]:
    place: dict[str, str] = {}
    inside: dict[str, str] = {}
    box = r"([a-z]+ (?:trunk|coffer|hamper|satchel|strongbox|cabinet))"
    story = re.compile(
        rf"The {box} stands in (\w+)\.|The ([a-z -]+?) lies in the {box}\."
        rf"|Somebody took the ([a-z -]+?) out of the {box} and put it into the {box}\."
        rf"|The {box} was carried from (\w+) to (\w+)\."
    )
    for match in story.finditer(document):
        stands, town, thing, into, taken, old, new, carried, start, end = match.groups()
        if stands:
            place[stands] = town
        elif thing:
            inside[thing] = into
        elif taken:
            assert inside[taken] == old
            inside[taken] = new
        else:
            assert place[carried] == start
            place[carried] = end
    things = re.search(r"this order: (.*)\? Give", question)[1].split(", ")
    return [place[inside[thing]] for thing in things]


def aggregation(document: str, question: str) -> list[str]:
    made = []
    for pattern in (
        r"On day (?P<day>\d+), (?P<who>\w+) delivered (?P<sacks>\d+) sacks of (?P<goods>[\w-]+) to (?P<town>\w+)\.",
        r"(?P<town>\w+) received (?P<sacks>\d+) sacks of (?P<goods>[\w-]+) from (?P<who>\w+) on day (?P<day>\d+)\.",
        r"On day (?P<day>\d+), (?P<sacks>\d+) sacks of (?P<goods>[\w-]+) reached (?P<town>\w+), brought by (?P<who>\w+)\.",
    ):
        for match in re.finditer(pattern, document):
            made.append((int(match["day"]), match["who"], int(match["sacks"]), match["goods"], match["town"]))
    if "in all? Count" in question and "How many sacks" in question:
        town = re.search(r"delivered to (\w+) in all", question)[1]
        return [str(sum(item[2] for item in made if item[4] == town))]
    if "How many deliveries" in question:
        towns = re.search(r"in this order: ([\w, ]+)\?", question)[1].split(", ")
        return [str(sum(item[4] == town for item in made)) for town in towns]
    if "most often" in question:
        goods, times = Counter(item[3] for item in made).most_common(1)[0]
        return [goods, str(times), str(sum(item[2] for item in made if item[3] == goods))]
    town = re.search(r"that reached (\w+):", question)[1]
    largest = max((item for item in made if item[4] == town), key=lambda item: item[2])
    return [largest[1], largest[3], str(largest[0])]


def run_code(document: str, question: str) -> list[str]:
    """By Python itself, in a process of its own."""
    done = subprocess.run([sys.executable, "-I", "-c", document], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def find_bug(document: str, question: str) -> list[str] | None:
    ast.parse(document)  # it is Python; which token is wrong is tested by its own
    return None


def dialogue(document: str, question: str) -> list[str]:
    turns = [line.split(": ", 1) for line in document.split("\n")]
    said = {}
    for at, (speaker, words) in enumerate(turns):
        match = re.fullmatch(r"I sold the (.+) in (\w+) for (\d+) crowns\.", words)
        if match:
            assert (match[1], match[2]) not in said, "a second occurrence"
            said[match[1], match[2]] = (speaker, turns[at + 1][0], match[3])
    place = 0 if question.startswith("Who said") else 1 if question.startswith("Who was") else 2
    asked = re.search(r"in this order: (.*)\? Give", question)[1].split("; ")
    return [said[tuple(item.removeprefix("the ").rsplit(" in ", 1))][place] for item in asked]


def order(document: str, question: str) -> list[str]:
    events = dict(re.findall(r"^([A-Z])\. (.+)$", question, re.MULTILINE))
    if "order of the days" not in question:
        return sorted(events, key=lambda letter: document.index(events[letter]))

    def day(event: str) -> int:
        found = re.findall(rf"n day (\d+),? (?:that )?{event}\.|{event} on day (\d+)\.", document)
        return int(max(found[0]))

    return sorted(events, key=lambda letter: day(events[letter]))


def novel(document: str, question: str) -> list[str]:
    place: dict[str, str] = {}
    holder: dict[str, str] = {}
    lies: dict[str, str] = {}
    teacher: dict[str, str] = {}
    hands: dict[str, list[str]] = defaultdict(list)
    went: dict[str, list[tuple[str, int]]] = defaultdict(list)
    until = int(found[1]) if (found := re.search(r"At the end of chapter (\d+)", question)) else 10**9
    thing = r"(?:the|The) ([a-z]+ [a-z-]+)"
    rules = (
        ("arrive", r"([A-Z]\w+) travelled to (\w+)\."),
        ("arrive", r"After a long ride ([A-Z]\w+) arrived in (\w+)\."),
        ("arrive", r"([A-Z]\w+) took the road to (\w+) and reached it before long\."),
        ("arrive", r"([A-Z]\w+) lived in (\w+)\."),
        ("home", r"At that time (\w+) was the home of (\w+)\."),
        ("own", rf"([A-Z]\w+) owned {thing}\."),
        ("owned", rf"{thing} belonged to ([A-Z]\w+)\."),
        ("gave", rf"[A-Z]\w+ gave {thing} to ([A-Z]\w+)\."),
        ("own", rf"([A-Z]\w+) received {thing} from [A-Z]\w+\."),
        ("left", rf"[A-Z]\w+ put {thing} down in (\w+) for anybody to find\."),
        ("hid", rf"In (\w+) [A-Z]\w+ gave up {thing} and hid it there\."),
        ("own", rf"([A-Z]\w+) found {thing} in \w+ and picked it up\."),
        ("own", rf"In \w+ ([A-Z]\w+) came upon {thing} and took it\."),
        ("taught", r"([A-Z]\w+) had been the teacher of (\w+)\."),
        ("learned", r"([A-Z]\w+) had learned everything from (\w+)\."),
    )
    for part in re.split(r"^Chapter ", document, flags=re.MULTILINE)[1:]:
        chapter = int(part.split("\n", 1)[0])
        if chapter > until:
            break
        happened = sorted((m.start(), kind, m.groups()) for kind, rule in rules for m in re.finditer(rule, part))
        for _, kind, (one, two) in happened:
            if kind == "arrive":
                if one in place:
                    went[one].append((two, chapter))
                place[one] = two
            elif kind == "home":
                place[two] = one
            elif kind in ("taught", "learned"):
                pupil, master = (two, one) if kind == "taught" else (one, two)
                teacher[pupil] = master
            elif kind in ("left", "hid"):
                item, town = (one, two) if kind == "left" else (two, one)
                holder.pop(item)
                lies[item] = town
            else:
                who, item = (one, two) if kind == "own" else (two, one)
                lies.pop(item, None)
                holder[item] = who
                if hands[item][-1:] != [who]:
                    hands[item].append(who)
    if question.startswith("Who had the"):
        return hands[re.search(r"Who had the (.+), from", question)[1]]
    if question.startswith("Which were the first three"):
        return [town for town, _ in went[re.search(r"places that (\w+) travelled", question)[1]][:3]]
    if question.startswith("In which chapters"):
        who, towns = re.search(r"did (\w+) travel .* first time: ([\w, ]+)\?", question).groups()
        return [str(next(chapter for town, chapter in went[who] if town == wanted)) for wanted in towns.split(", ")]
    names = re.search(r"(?:of these|on its own): ([\w ,-]+)\?", question)[1].split(", ")
    if "teacher" in question:
        return [place[teacher[name]] for name in names]
    if "who had each" in question:
        return [holder[name] for name in names]
    if "where was each" in question:
        return [place[name] for name in names]
    return [lies.get(name) or place[holder[name]] for name in names]


SOLVERS = {
    "passkey": numbers,
    "numbers": numbers,
    "key_value": key_value,
    "conflict": conflict,
    "chain": chain,
    "moved": moved,
    "aggregation": aggregation,
    "find_bug": find_bug,
    "run_code": run_code,
    "dialogue": dialogue,
    "order": order,
    "novel": novel,
}
