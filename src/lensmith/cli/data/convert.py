"""``lensmith data convert``: the same examples in another format, or without their faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith import check
from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, source_of

NAME = "convert"


def command(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, table, archive or annotation file.")],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    to: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="voc, coco, yolo, csv, …", show_default="the format of DATA")
    ] = None,
    mend: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Leave out what the audit finds: duplicate, leakage, label, …; repeatable."),
    ] = None,
    format: FormatName = None,
    read: Read = None,
    as_json: show.Json = False,
) -> None:
    """Write DATA anew into OUT, in another format or mended. DATA stays as it is.

    Without --mend nothing is checked: images that cannot be read are copied like all others.
    """
    from lensmith import data

    console = show.console(as_json)
    _refuse_inside(source, folder)
    records = source_of(source, format, read).records()
    with show.counting("Looking at the examples") as tell:
        made = data.convert(records, folder, to or data.format_of(records), mending=mend or (), on_file=tell)
    console.print(f"Read      {records.layout}\nWritten   {len(made.records):,} examples as {made.format} to {folder}")
    for problem in made.left_out:
        console.print(f"left out: {problem.source}: {problem.reason}")
    if made.not_held:
        console.print(f"{made.format} does not hold {', '.join(made.not_held)}: left behind")
    if as_json:
        left = [{"source": one.source, "reason": one.reason} for one in made.left_out]
        shown = {"source": source, "layout": records.layout, "folder": str(folder), "format": made.format}
        show.document(shown | {"examples": len(made.records), "left_out": left, "not_held": list(made.not_held)})


def _refuse_inside(source: str, folder: Path) -> None:
    """DATA would hold its own copy from then on."""
    root = Path(source).expanduser()
    if root.is_dir() and folder.resolve().is_relative_to(root.resolve()):
        raise check.SettingError(check.sentence(f"{folder}", f"a new folder outside {source}", "one inside it"))
