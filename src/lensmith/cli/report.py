"""``lensmith report``: the page of a run, written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import show

NAME = "report"


def command(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    as_json: show.Json = False,
) -> None:
    """Write RUN/report.html from what stands in the folder."""
    from lensmith import runs

    opened = runs.open_run(run)
    path = opened.report()
    show.console(as_json).print(f"Report    {path} ({show.size(path)})")
    if as_json:
        results = opened.results or {}
        show.document(
            {"run": str(run), "report": str(path), "diagnosis": results.get("diagnosis", []), "results": results}
        )
