"""``lensmith zoo``: the recipes that come with Lensmith."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lensmith.cli import show

NAME = "zoo"


def command(
    name: Annotated[str | None, typer.Argument(help="One recipe; left out, all are listed.")] = None,
    as_json: show.Json = False,
) -> None:
    """List the zoo with its parameters, or show the parts of one recipe."""
    console = show.console(as_json)
    shown = _one(name, console) if name else _all(console)
    if as_json:
        show.document(shown)


def _row(name: str) -> dict[str, Any]:
    from lensmith.compose import zoo

    recipe = zoo.get(name)
    total, trainable = recipe.count()
    return {"name": name, "parameters": total, "trainable_parameters": trainable, "input": list(recipe.input)}


def _all(console: Any) -> list[dict[str, Any]]:
    from rich.table import Table

    from lensmith.compose import zoo

    rows = [_row(name) for name in zoo.names()]
    table = Table("name", "input")
    table.add_column("parameters", justify="right")
    table.add_column("trainable", justify="right")
    for row in rows:
        size = "x".join(map(str, row["input"]))
        table.add_row(row["name"], size, f"{row['parameters']:,}", f"{row['trainable_parameters']:,}")
    console.print(table)
    return rows


def _one(name: str, console: Any) -> dict[str, Any]:
    from rich.table import Table

    from lensmith import compose

    recipe = compose.zoo.get(name)
    model = recipe.build(seed=0)
    parts, taps = compose.outline(model), compose.tap_names(model)
    table = Table("part", "made of", "output")
    table.add_column("parameters", justify="right")
    for part in parts:
        table.add_row(part.name, part.detail, "x".join(map(str, part.shape)), f"{part.parameters:,}")
    console.print(table)
    for tap, layer in taps.items():
        console.print(f"{tap:4} {layer}")
    console.print(f"\n{recipe.to_yaml()}")
    return {**_row(name), "taps": taps, "recipe": recipe.to_dict()}
