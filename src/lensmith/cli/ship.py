"""``lensmith ship``: a trained run as an artifact, proven equal to the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lensmith.cli import show

NAME = "ship"


def command(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    to: Annotated[Literal["onnx"], typer.Option(help="The format.")] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file.", show_default="RUN/model.onnx")] = None,
    as_json: show.Json = False,
) -> None:
    """Export the model of RUN and compare it with the model on real examples; refuses when they differ."""
    from lensmith import runs

    path, proof = runs.ship_run(run, out)
    show.console(as_json).print(
        f"Artifact  {path} ({show.size(path)}), equal to the model on {proof.images} examples"
        f" to {proof.max_difference:.1e}"
    )
    if as_json:
        show.document({"artifact": str(path), "format": to, "proof": proof.to_dict()})
