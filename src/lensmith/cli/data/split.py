"""``lensmith data split``: which example trains, which chooses, which judges; written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, source_of

NAME = "split"


def command(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, table, archive or annotation file.")],
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write the split. One that is there is kept and added to.")
    ] = Path("split.json"),
    train: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the training part.", show_default="0.6, or as FILE says"),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the validation part.", show_default="0.2, or as FILE says"),
    ] = None,
    test: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the test part.", show_default="0.2, or as FILE says")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="A column or fact of the file name whose examples stay together.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, metavar="K", help="Cross-validation: write FILE-1 to FILE-K instead.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the shuffle.")] = 0,
    format: FormatName = None,
    read: Read = None,
    as_json: show.Json = False,
) -> None:
    """Divide DATA, and write the parts down: train --split FILE uses them, and files that are added join them."""
    from lensmith import runs

    console = show.console(as_json)
    shares = {"train": train, "validation": validation, "test": test}
    given = {name: share for name, share in shares.items() if share is not None}
    known = {"seed": seed, "group": group, "file": str(to) if to.exists() else None}
    wanted = runs.validated(runs.SplitSpec, given | known)
    if folds is not None:
        with show.counting("Looking at the examples") as tell:
            made = runs.write_folds(source_of(source, format, read), folds, wanted, to, on_file=tell)
        console.print("\n".join(f"Written   {path}" for path in made))
        if as_json:
            show.document({"source": source, "splits": [str(path) for path in made]})
        return
    with show.counting("Looking at the examples") as tell:
        parts = runs.write_split(source_of(source, format, read), wanted, to, on_file=tell)
    sizes = {name: len(part) for name, part in zip(("train", "validation", "test"), parts, strict=True)}
    console.print(f"Split     {', '.join(f'{name} {size:,}' for name, size in sizes.items())}\nWritten   {to}")
    if as_json:
        show.document({"source": source, "split": str(to), "parts": sizes})
