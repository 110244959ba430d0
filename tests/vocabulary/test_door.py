"""The door of the package: small, complete, and of one version."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import lensmith

ROOT = Path(__file__).resolve().parents[2]


def test_what_can_be_seen_is_what_is_offered() -> None:
    assert dir(lensmith) == sorted(lensmith.__all__)


@pytest.mark.parametrize("room", [name for name in lensmith.__all__ if not name.startswith("_")])
def test_every_room_opens(room: str) -> None:
    module = getattr(lensmith, room)
    assert isinstance(module, ModuleType)
    assert module.__name__ == f"lensmith.{room}"
    assert module.__doc__, "a room says what it is for"


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'recods'; it has .*records"):
        lensmith.recods  # noqa: B018


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert lensmith.__version__ == project["version"] == metadata.version("lensmith")
    assert f"\n## [{lensmith.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
