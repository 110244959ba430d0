"""The walk-through keeps its word: what it shows is what stands in the files, and its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lensmith.compose import zoo

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/add_a_family.md").read_text(encoding="utf-8")
FAMILY = ROOT / "src/lensmith/compose/zoo/efficientnet.py"
TABLE = ROOT / "src/lensmith/compose/zoo/__init__.py"
GOLDEN = ROOT / "tests/compose/golden.json"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_code_it_shows_is_that_of_the_files():
    imports, family, line, entry = blocks("python")
    text = FAMILY.read_text(encoding="utf-8")
    assert imports in text
    assert family in text
    table = TABLE.read_text(encoding="utf-8")
    assert line in table
    first, _, name, _ = entry.splitlines()
    assert first in table
    assert f"{name}\n" in table


def test_the_row_it_shows_is_in_the_golden_table():
    (row,) = blocks("json")
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))
    ((name, shown),) = json.loads("{" + row + "}").items()
    assert rows[name] == shown


def test_the_counts_it_shows_are_those_of_the_recipe():
    total, trainable = zoo.get("efficientnet-b0").count()
    assert f"{total:,} parameters, {trainable:,} trainable" in PAGE
    assert zoo.family("efficientnet-b0").convention in PAGE


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_commands_it_shows_name_files_that_exist():
    for command in re.findall(r"^\$ (?:\w+=\d )?\./scripts/test (\S+)", PAGE, re.MULTILINE):
        assert (ROOT / command).is_file(), command
    assert "is new: write its row with LENSMITH_ACCEPT=1" in (ROOT / "tests/compose/test_zoo_golden.py").read_text()
