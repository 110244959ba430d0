"""``lensmith evaluate``: how good a model is on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, spec_of

NAME = "evaluate"


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
    """Loss, metrics and counts of each class of MODEL on DATA."""
    from lensmith import runs

    scores = runs.evaluate(model, source, part=part, weights=weights, names=names, read=spec_of(format, read))
    console = show.console(as_json)
    values = scores.to_dict()
    for name, value in values.items():
        if isinstance(value, float):
            console.print(f"{name:24} {value:.4f}")
    for problem in values["set_aside"]:
        console.print(f"set aside: {problem['source']}: {problem['reason']}")
    for task, rows in values["classes"].items():
        console.print(table(task, rows))
    if as_json:
        show.document(values)


def table(task: str, rows: list[dict[str, object]]) -> object:
    """The classes of one task as a table."""
    from rich.table import Table

    made = Table(*(list(rows[0]) if rows else []), title=task)
    for row in rows:
        made.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    return made
