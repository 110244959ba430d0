"""``lensmith evaluate``: how good a model is on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, spec_of

if TYPE_CHECKING:
    from lensmith.runs.scoring import Scores

NAME = "evaluate"
# Of a detector's classes: what a column is called, and the name of its values.
_COLUMNS = (
    ("objects", "objects"),
    ("AP@.5", "map50"),
    ("AP", "map"),
    ("precision", "best_precision"),
    ("recall", "best_recall"),
    ("F1", "best_f1"),
    ("score", "best_score"),
)


def command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A run, a saved model, a shipped artifact, a zoo name or FILE.cfg.")
    ],
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, table, archive or annotation file.")],
    part: Annotated[
        Literal["train", "validation", "test", "all"] | None,
        typer.Option(help="Which part of DATA.", show_default="test where DATA has parts, else all"),
    ] = None,
    format: FormatName = None,
    read: Read = None,
    weights: Annotated[
        str | None, typer.Option(help="For a zoo name: imagenet, or a file; for FILE.cfg its weights.")
    ] = None,
    names: Annotated[Path | None, typer.Option(help="For a Darknet network: a file with its classes.")] = None,
    as_json: show.Json = False,
) -> None:
    """Loss, metrics and the scores of each class of MODEL on DATA."""
    from lensmith import runs
    from lensmith.runs.report import counted

    scores = runs.evaluate(model, source, part=part, weights=weights, names=names, read=spec_of(format, read))
    console = show.console(as_json)
    values = document(scores)
    for name, value in scores.to_dict().items():
        if isinstance(value, float):
            console.print(f"{name:24} {value:.4f}")
        elif value is None:  # of a detector, where there is no object
            console.print(f"{name:24} -")
    for task, one in values.get("detectors", {}).items():
        console.print(sizes(one))
        console.print(counted(one["counts"], one["threshold"]))
        if all(row["map"] is None for row in one["classes"]):
            console.print(f"{task}: no object counts in these examples, so nothing could be measured.")
    for problem in values["set_aside"]:
        console.print(f"set aside: {problem['source']}: {problem['reason']}")
    for task, rows in values["classes"].items():
        console.print(detected(task, rows) if task in scores.detections else table(task, rows))
    if as_json:
        show.document(values)


def document(scores: Scores) -> dict[str, Any]:
    """What a machine is told: with one detector among the tasks, its values stand at the top level too."""
    from lensmith.runs.found import counts

    values = scores.to_dict()
    for task, one in scores.detections.items():
        values["detectors"][task] |= {"counts": counts(one), "threshold": one.thresholds.score}
    if len(scores.detections) == 1:
        (only,) = values["detectors"].values()
        values |= {name: value for name, value in only.items() if name.startswith(("map", "recall_"))}
        values |= {"counts": only["counts"], "threshold": only["threshold"]}
    return values


def sizes(scores: Mapping[str, Any]) -> str:
    """Mean average precision by the size of objects, and the recall, for a person."""
    by_size = ", ".join(f"{size} {fraction(scores.get(f'map_{size}'))}" for size in ("small", "medium", "large"))
    return f"{'map by size':24} {by_size}\n{'recall':24} {fraction(scores.get('recall_100'))}"


def fraction(value: object) -> str:
    """A share as a person reads it; a dash where nothing could be measured.

    >>> fraction(0.12345), fraction(None), fraction(7)
    ('0.123', '-', '7')
    """
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def detected(task: str, rows: list[dict[str, Any]]) -> object:
    """The classes of a detector as a table; those that neither occur nor were found are left out.

    Precision, recall and F1 are those at the score where F1 is best.
    """
    from rich.table import Column, Table

    made = Table("class", *(Column(title, justify="right") for title, _ in _COLUMNS), title=task)
    shown = [row for row in rows if row["objects"] or row["found"]]
    for row in shown:
        made.add_row(row["name"], *(fraction(row[name]) for _, name in _COLUMNS))
    if len(shown) < len(rows):
        left = len(rows) - len(shown)
        made.caption = f"{left} classes neither occur nor were found"
        if left == 1:
            made.caption = "1 class neither occurs nor was found"
    return made


def table(task: str, rows: list[dict[str, object]]) -> object:
    """The classes of one task as a table."""
    from rich.table import Table

    made = Table(*(list(rows[0]) if rows else []), title=task)
    for row in rows:
        made.add_row(*(fraction(value) for value in row.values()))
    return made
