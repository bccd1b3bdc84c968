"""Files are real, the same bytes every time, and hold what their plans say where their plans say it."""

import random
import shutil
import subprocess
import zipfile
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl.utils.cell import coordinate_to_tuple

from simulators.tasks.documents.folder import plan_of
from simulators.tasks.documents.plans import Image, Lines, Pages, Sheets, text_of
from simulators.tasks.documents.reading import folder_of, opened
from simulators.tasks.documents.recipe import FAMILIES, LANGUAGES, THEMES, Recipe
from simulators.tasks.documents.writing import file_bytes

RECIPES = [
    Recipe(THEMES[place % 4], 1000 + place, 1 + place % 3, family, LANGUAGES[place % 2]) for place, family in enumerate(FAMILIES)
]
PLANS = {plan.name: plan for recipe in RECIPES for plan in plan_of(recipe)[0]}


def squeezed(text: str) -> str:
    return "".join(text.split())


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def test_every_kind_of_file_is_there_in_both_languages() -> None:
    kinds = {(recipe.language, plan.name.rpartition(".")[2]) for recipe in RECIPES for plan in plan_of(recipe)[0]}
    assert kinds == {(language, kind) for language in LANGUAGES for kind in ("pdf", "docx", "pptx", "xlsx", "csv", "txt", "png")}
    assert all(4 <= len(plan_of(recipe)[0]) <= 10 for recipe in RECIPES)


def test_bytes_do_not_depend_on_when_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    one_of_each = {plan.name.rpartition(".")[2]: plan for plan in PLANS.values()}
    before = {kind: file_bytes(plan) for kind, plan in one_of_each.items()}
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert before == {kind: file_bytes(plan) for kind, plan in one_of_each.items()}
    for kind in ("docx", "pptx", "xlsx"):
        with zipfile.ZipFile(BytesIO(before[kind])) as archive:
            assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert b"2000-01-01" in archive.read("docProps/core.xml")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.family}-{recipe.language}")
def test_what_is_planned_is_read_back_at_its_place(recipe: Recipe) -> None:
    folder = folder_of(recipe)
    for plan in plan_of(recipe)[0]:
        content = folder.content(plan.name)
        match plan:
            case Pages():
                assert len(content.pages) == len(plan.pages)
                for page, text in zip(plan.pages, content.pages, strict=True):
                    for block in page.blocks:
                        for part in (block.text, *(cell for row in block.rows for cell in row)):
                            assert squeezed(part) in squeezed(text), (plan.name, page.title)
            case Sheets():
                for sheet in plan.sheets:
                    read = content.sheets[sheet.name]
                    for row, cells in enumerate(sheet.rows):
                        assert [_plain(cell.value) for cell in cells] == list(read[row][: len(cells)])
            case Lines():
                assert content.lines == tuple(line.text for line in plan.lines)
            case Image():
                assert content.layer == "\n".join(plan.lines)


def test_the_places_of_facts_exist() -> None:
    for recipe in RECIPES:
        plans, places = plan_of(recipe)
        names = {plan.name: plan for plan in plans}
        for place in {place for found in places.values() for place in found}:
            name, _, where = place.partition("#")
            plan = names[name]
            if isinstance(plan, Sheets):
                sheet = next(item for item in plan.sheets if item.name == where.partition("!")[0])
                row, column = coordinate_to_tuple(where.partition("!")[2])
                assert sheet.rows[row - 1][column - 1] is not None
            elif where != "text":
                number = int(where.partition("=")[2])
                assert 1 <= number <= len(plan.pages if isinstance(plan, Pages) else plan.lines)


def test_pictures_are_pictures() -> None:
    from PIL import Image as Pictures

    for name, plan in PLANS.items():
        if isinstance(plan, Image):
            picture = Pictures.open(BytesIO(file_bytes(plan)))
            picture.load()
            assert picture.format == "PNG" and min(picture.size) > 200, name
            assert picture.getextrema()[0] < 60  # something is written on it


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler (pdftotext) is not installed")
def test_pdf_files_open_in_poppler(tmp_path: Path) -> None:
    for language in LANGUAGES:
        recipe = next(
            item for item in RECIPES if item.language == language and any("pdf" in plan.name for plan in plan_of(item)[0])
        )
        plan = next(plan for plan in plan_of(recipe)[0] if plan.name.endswith(".pdf"))
        assert isinstance(plan, Pages)
        path = tmp_path / "file.pdf"
        path.write_bytes(file_bytes(plan))
        for number, page in enumerate(plan.pages, 1):
            command = ["pdftotext", "-f", str(number), "-l", str(number), "-enc", "UTF-8", str(path), "-"]
            text = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
            assert squeezed(page.title) in squeezed(text)
            for block in page.blocks:
                assert squeezed(block.text) in squeezed(text)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler (pdftotext) is not installed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_office_files_open_in_libreoffice(language: str, tmp_path: Path) -> None:
    plans = {plan.name.rpartition(".")[2]: plan for item in RECIPES if item.language == language for plan in plan_of(item)[0]}
    for kind in ("docx", "pptx", "xlsx"):
        (tmp_path / f"file_{kind}.{kind}").write_bytes(file_bytes(plans[kind]))
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    files = [str(path) for path in tmp_path.glob("file_*")]
    command = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), *files]
    subprocess.run(command, check=True, capture_output=True, timeout=170)
    for kind in ("docx", "pptx"):
        plan = plans[kind]
        assert isinstance(plan, Pages)
        content = opened("file.pdf", (tmp_path / f"file_{kind}.pdf").read_bytes())
        assert len(content.pages) == len(plan.pages)
    for kind in ("docx", "pptx", "xlsx"):
        command = ["pdftotext", "-enc", "UTF-8", str(tmp_path / f"file_{kind}.pdf"), "-"]
        text = squeezed(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode())
        plan = plans[kind]
        if isinstance(plan, Sheets):
            wanted = [text_of(cell.value) for row in plan.sheets[0].rows for cell in row if isinstance(cell.value, str)]
        else:
            wanted = [block.text for page in plan.pages for block in page.blocks]
        for part in random.Random(0).sample(wanted, min(20, len(wanted))):
            assert squeezed(part) in text, part
