"""``lensmith data split``: which example trains, which chooses, which judges; written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, source_of

if TYPE_CHECKING:
    from lensmith.data import Split
    from lensmith.records import Records

NAME = "split"
_OWN = ("validation", "test")


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
    seed: Annotated[int | None, typer.Option(min=0, help="Of the shuffle.", show_default="0, or as FILE says")] = None,
    format: FormatName = None,
    read: Read = None,
    as_json: show.Json = False,
) -> None:
    """Divide DATA, and write the parts down: train --split FILE uses them, and files that are added join them."""
    from lensmith import data, runs

    console = show.console(as_json)
    shares = {"train": train, "validation": validation, "test": test}
    given = {name: share for name, share in shares.items() if share is not None}
    before = data.read_split(to) if folds is None and to.exists() else None
    dealt_by = seed if seed is not None else before.seed if before else 0
    known = {"seed": dealt_by, "group": group, "file": str(to) if before else None}
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
    own = _own(parts)
    if own:
        console.print(f"The source's own {' and '.join(own)} part{' is' if len(own) == 1 else 's are'} kept")
    told: dict[str, object] = {"source": source, "split": str(to), "parts": sizes, "own": own}
    if before:
        changes = _changes(before, parts)
        console.print(", ".join(f"{name} {count:,}" for name, count in changes.items()).capitalize())
        stated = (wanted.train, wanted.validation, wanted.test) if given else before.fractions
        if (stated, wanted.seed) != (before.fractions, before.seed):
            console.print("Known examples keep their part: only new ones are dealt by these shares and this seed")
        told |= changes
    if as_json:
        show.document(told)


def _own(parts: Sequence[Records]) -> list[str]:
    """The parts that the source itself has; one that is a validation part as a whole was divided like any other."""
    training = {record.part for record in parts[0]}
    own = {name: any(record.part == name for record in part) for name, part in zip(_OWN, parts[1:], strict=True)}
    return [name for name, there in own.items() if there and name not in training]


def _changes(before: Split, parts: Sequence[Records]) -> dict[str, int]:
    """How many examples an earlier split knew and still has, how many are new to it, and how many are no more."""
    kept = {key for part in parts for key in before.kept(part)}
    added = {key for part in parts for key in before.added(part)}
    return {"kept": len(kept), "added": len(added), "gone": len(before.parts) - len(kept)}
