"""``lensmith report``: the page of a run, written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import show
from lensmith.cli.train import noticed

NAME = "report"


def command(
    run: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    as_json: show.Json = False,
) -> None:
    """Write RUN/report.html from what stands in the folder."""
    from lensmith import runs

    opened = runs.open_run(run)
    path = opened.report()
    console = show.console(as_json)
    console.print(f"Report    {path} ({show.size(path)})")
    found, finished = opened.diagnosis, opened.finished
    if not finished:
        noticed(found, console)
        diverged = any(one["kind"] == "divergence" for one in found)
        how = "Begin another as advised, or go on with this" if diverged else "Go on with it"
        console.print(f"The run has not finished. {how}: lensmith train --resume {run}")
    if as_json:
        results = opened.results if opened.trained else {}
        show.document(
            {"run": str(run), "report": str(path), "finished": finished, "diagnosis": found, "results": results}
        )
