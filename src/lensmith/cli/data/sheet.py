"""``lensmith data show``: a sheet of pictures, with their labels drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith import check
from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, ranges, source_of

NAME = "show"


def command(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, table, archive or annotation file.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the sheet: .png or .jpg.")] = Path(
        "sheet.png"
    ),
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many examples; with --augment each has a row.", show_default="24; with --augment 4"
        ),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(metavar="RANGES", help="Show changed copies: light, strong, or '{rotate: 15}'.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="With --augment: the size of the model's input.", show_default="128x128"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which examples, and which changes.")] = 0,
    format: FormatName = None,
    read: Read = None,
    as_json: show.Json = False,
) -> None:
    """Write a sheet of examples with their labels, boxes, outlines, points and masks; with --augment as training sees
    them.
    """
    from lensmith import data

    section = source_of(source, format, read, augment=ranges(augment))
    records = section.records()
    data.save_sheet(
        to, records, count=count, seed=seed, augment=section.augmentation(), size=size_of(image) if augment else None
    )
    console = show.console(as_json)
    console.print(f"Read      {records.layout}\nSheet     {to}")
    if as_json:
        show.document({"source": source, "layout": records.layout, "examples": len(records), "sheet": str(to)})


def size_of(text: str | None) -> tuple[int, int]:
    """``128x96`` as height and width."""
    sides = (text or "128x128").lower().split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise check.SettingError(check.sentence("--image", "HEIGHTxWIDTH, such as 128x128", repr(text)))
    return int(sides[0]), int(sides[1])
