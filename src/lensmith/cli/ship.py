"""``lensmith ship``: a trained run as an artifact, proven equal to the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lensmith.cli import show

NAME = "ship"


def command(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    to: Annotated[Literal["onnx", "darknet"], typer.Option(help="The format.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file; for Darknet without its suffixes.", show_default="RUN/model.onnx"),
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Export the model of RUN and compare it with the model on real examples; refuses when they differ."""
    from lensmith import runs

    written: tuple[Path, ...]
    if to == "darknet":
        written, proof = runs.ship_darknet(run, out)
    else:
        path, proof = runs.ship_run(run, out)
        written = (path,)
    files = ", ".join(f"{path} ({show.size(path)})" for path in written)
    show.console(as_json).print(
        f"Artifact  {files}, equal to the model on {proof.images} examples to {proof.max_difference:.1e}"
    )
    if as_json:
        beside = {"files": [str(path) for path in written]} if len(written) > 1 else {}
        show.document({"artifact": str(written[0]), **beside, "format": to, "proof": proof.to_dict()})
