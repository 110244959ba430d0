"""What ``lensmith probe`` left in a run's folder, for the run's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lensmith import check, probe
from lensmith.runs.report import Look, Said
from lensmith.runs.report.content import RESULT_KINDS

FOLDER = "probe"  # of a run


def looks_of(run: Path) -> tuple[Look, ...]:
    """The looks that a run's folder keeps: images, then the model, then data; damaged ones are left out."""
    found = []
    for path in sorted((run / FOLDER).glob("*/probe.json")):
        try:
            facts, figures = probe.read(path.parent)
        except check.DataError:
            continue
        found.append((_rank(facts), Look(_name(facts), figures, _said(facts))))
    return tuple(look for _, look in sorted(found, key=lambda one: one[0]))


def _rank(facts: Mapping[str, Any]) -> int:
    return 0 if "image" in facts else 1 if "model" in facts else 2


def _name(facts: Mapping[str, Any]) -> str:
    return Path(str(facts.get("image") or facts.get("data") or "")).name


def _said(facts: Mapping[str, Any]) -> tuple[Said, ...]:
    """What the model said of the image, as it stands in the facts."""
    given, kinds = facts.get("predictions"), facts.get("kinds")
    if not isinstance(given, Mapping) or not isinstance(kinds, Mapping):
        return ()
    return tuple(
        Said(task, kinds[task], tuple((str(name), float(value)) for name, value in scored.items()))
        for task, scored in given.items()
        if isinstance(scored, Mapping) and kinds.get(task) in RESULT_KINDS
    )
