"""``lensmith data formats``: what can be read and written."""

from __future__ import annotations

from lensmith.cli import show

NAME = "formats"


def command(as_json: show.Json = False) -> None:
    """List the formats: what each is, and which settings its reader takes (--read NAME=VALUE)."""
    from rich.table import Table

    from lensmith import data

    table = Table("format", "what it is", "--read", box=None, pad_edge=False)
    for one in data.FORMATS:
        table.add_row(one.name, f"{one.title}: {one.says}", ", ".join(sorted(one.heeds)))
    show.console(as_json).print(table)
    if as_json:
        show.document(
            [
                {"name": one.name, "title": one.title, "says": one.says, "settings": sorted(one.heeds)}
                for one in data.FORMATS
            ]
        )
