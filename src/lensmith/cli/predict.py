"""``lensmith predict``: what a model says of images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lensmith.check import DataError
from lensmith.cli import FAILED, show

if TYPE_CHECKING:
    from lensmith.ship import Scored

NAME = "predict"


def command(
    model: Annotated[Path, typer.Argument(help="A run, a saved model, a shipped artifact, FILE.cfg or a zoo name.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files, or bundled:flower.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    weights: Annotated[
        str | None, typer.Option(help="For a zoo name: imagenet, or a file; of a Darknet network FILE.weights.")
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a Darknet network's classes, one a line.", show_default="their numbers"),
    ] = None,
    as_json: show.Json = False,
) -> None:
    """The most probable classes of each IMAGE, its numbers or its objects, by MODEL."""
    from lensmith import data, runs, ship

    show.progress_console()  # where what it warns of comes out
    opened = runs.open_model(model, weights, names)
    console = show.console(as_json)
    predictions, refused = [], 0
    for image in map(data.image_path, images):
        try:  # one at a time, so that a broken file does not keep the others from being answered
            predictions += ship.predict(opened, [image], top=top)
        except DataError as error:
            refused += 1
            print(f"lensmith: {error}", file=sys.stderr)
            continue
        console.print(str(image), style="bold")
        for task, scored in predictions[-1].tasks.items():
            console.print(f"  {task}: " + (", ".join(map(_said, scored)) or "nothing found"))
    if as_json:
        show.document([prediction.to_dict() for prediction in predictions])
    if refused:
        raise typer.Exit(FAILED)


def _said(one: Scored) -> str:
    """A class or a number; of an object its box too, in whole pixels."""
    from lensmith.ship import Found

    box = " (" + " ".join(str(round(side)) for side in one.box) + ")" if isinstance(one, Found) else ""
    return f"{one.label} {one.score:.3f}{box}"
