"""``lensmith audit``: look at the data before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import SEVERE, show
from lensmith.cli.reading import FormatName, Read, source_of

NAME = "audit"


def command(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, table, archive or annotation file.")],
    format: FormatName = None,
    read: Read = None,
    model: Annotated[
        str | None, typer.Option(help="A run, saved model or artifact: names labels that it finds suspicious.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures: audit.html.")] = None,
    as_json: show.Json = False,
) -> None:
    """Find duplicates, leaks, broken files and wrong labels in DATA; exit status 3 when something is severe."""
    from lensmith import runs

    console = show.console(as_json)
    with show.counting("Looking at the examples") as tell:
        found = runs.inspect(source_of(source, format, read), model=model, on_file=tell)
    found.show(console)
    if report is not None:
        runs.write_audit_page(found, report)
        console.print(f"Report    {report}")
    if as_json:
        show.document(found.to_dict())
    if found.severe:
        raise typer.Exit(SEVERE)
