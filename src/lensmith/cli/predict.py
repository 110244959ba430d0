"""``lensmith predict``: what a model says of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import show

NAME = "predict"


def command(
    model: Annotated[Path, typer.Argument(help="A run, a saved model or a shipped artifact.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    as_json: show.Json = False,
) -> None:
    """The most probable classes of each IMAGE, or its numbers, by MODEL."""
    from lensmith import runs, ship

    predictions = ship.predict(runs.open_model(model), images, top=top)
    console = show.console(as_json)
    for prediction in predictions:
        console.print(f"[bold]{prediction.source}[/]")
        for task, scored in prediction.tasks.items():
            console.print(f"  {task}: " + ", ".join(f"{one.label} {one.score:.3f}" for one in scored))
    if as_json:
        show.document([prediction.to_dict() for prediction in predictions])
