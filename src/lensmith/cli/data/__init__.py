"""``lensmith data``: show, convert and split a data set."""

from __future__ import annotations

import typer

from lensmith.cli.data import convert, formats, sheet, split

NAME = "data"
app = typer.Typer(name=NAME, help="Show, convert or split a data set.", no_args_is_help=True)

for module in (sheet, convert, split, formats):
    app.command(module.NAME)(module.command)
