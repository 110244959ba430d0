"""``lensmith data formats``: what can be read and written."""

from __future__ import annotations

from lensmith.cli import show

NAME = "formats"


def command(as_json: show.Json = False) -> None:
    """List the formats, and what can be said with --read NAME=VALUE where looking is not enough."""
    from rich.table import Table

    from lensmith import data

    formats = Table("format", "what it is", "--read", box=None, pad_edge=False)
    for one in data.FORMATS:
        formats.add_row(one.name, f"{one.title}: {one.says}", ", ".join(sorted(one.heeds)))
    settings = Table("--read", "what it says", box=None, pad_edge=False)
    for name, says in data.SETTINGS.items():
        settings.add_row(name, says)
    console = show.console(as_json)
    console.print(formats, "", settings)
    if as_json:
        listed = [
            {"name": one.name, "title": one.title, "says": one.says, "settings": sorted(one.heeds)}
            for one in data.FORMATS
        ]
        show.document({"formats": listed, "settings": dict(data.SETTINGS)})
