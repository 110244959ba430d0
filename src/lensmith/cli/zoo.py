"""``lensmith zoo``: the recipes that come with Lensmith, what they cost and how they are built."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lensmith import check
from lensmith.cli import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lensmith.compose import Recipe
    from lensmith.compose.drawing import Box, Tap

NAME = "zoo"


def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATTERN|FILE.yaml]",
            help="One recipe, or those that match a pattern ('mobilenet*'); left out, all are listed.",
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="List this family only.")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the recipe alone, to change and train it.")] = False,
    draw: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the recipe into this file.")] = None,
    as_json: show.Json = False,
) -> None:
    """List the zoo and what its recipes cost, or show how one is built."""
    console = show.console(as_json)
    one = name is not None and not any(sign in name for sign in "*?[")
    _check_options(one, family, as_yaml, draw, as_json)
    if not one:
        shown: Any = _all(_chosen(name, family), console)
    elif as_yaml:
        print(_read(str(name)).to_yaml(), end="")
        return
    else:
        shown = _one(str(name), draw, console)
    if as_json:
        show.document(shown)


def _check_options(one: bool, family: str | None, as_yaml: bool, draw: Path | None, as_json: bool) -> None:
    if not one and (as_yaml or draw):
        place = "--yaml" if as_yaml else "--draw"
        raise check.SettingError(check.sentence(place, "the NAME of one recipe beside it", "none"))
    if as_yaml and (as_json or draw):
        other = "--json" if as_json else "--draw"
        raise check.SettingError(check.sentence("--yaml", "nothing else to be asked for", other))
    if one and family:
        raise check.SettingError(check.sentence("--family", "a pattern or no NAME beside it", "the name of a recipe"))
    if draw and draw.suffix != ".svg":
        raise check.SettingError(check.sentence("--draw", "a file that ends in .svg", str(draw)))


def _chosen(pattern: str | None, family: str | None) -> list[str]:
    """The names to list.

    Raises:
        SettingError: there is no such family, or none matches.
    """
    from lensmith.compose import zoo

    families = {each.name.lower(): each for each in zoo.FAMILIES}
    kept = [families[check.one_of("--family", family.lower(), families)]] if family else list(families.values())
    names = [name for each in kept for name in each.recipes if fnmatchcase(name, pattern or "*")]
    if not names:
        raise check.SettingError(f"no recipe matches {pattern!r}. See them all: lensmith zoo")
    return names


def _row(name: str, recipe: Recipe) -> dict[str, Any]:
    """What the listing says of a recipe, also of one that is not in the zoo."""
    from lensmith.compose import zoo
    from lensmith.compose.cost import cost
    from lensmith.compose.weights import PUBLISHED

    found = cost(recipe)
    family = zoo.family(name) if name in zoo.TABLE else None
    return {
        "name": name,
        "family": family.name if family else None,
        "parameters": found.parameters,
        "trainable_parameters": found.trainable,
        "flops": found.flops,
        "input": list(recipe.input),
        "origin": family.origin if family else None,
        "convention": family.convention if family else None,
        "weights": list(PUBLISHED.get(name, ())),
    }


def _all(names: list[str], console: Any) -> list[dict[str, Any]]:
    import gc

    from lensmith.compose import zoo

    gc.collect()
    gc.freeze()  # else a third of the time goes into looking through all of Keras for garbage, again and again
    rows = []
    with show.counting("Counting") as tell:
        for i, name in enumerate(names):
            tell(i, len(names))
            rows.append(_row(name, zoo.get(name)))
    _list(rows, console)
    return rows


def _list(rows: list[dict[str, Any]], console: Any) -> None:
    """The rows by family, each family's origin over them and its way of counting under them."""
    right = ("parameters", "FLOPs")
    head, *lines = _columns(("recipe", *right, "input", "weights"), [_cells(row) for row in rows], right)
    console.print(head, style="bold")
    for i, (row, line) in enumerate(zip(rows, lines, strict=True)):
        if not i or row["family"] != rows[i - 1]["family"]:
            console.print(f"\n{row['family']} · {_short(row['origin'])}", style="bold")
        console.print(line)
        if i + 1 == len(rows) or rows[i + 1]["family"] != row["family"]:
            console.print(f"* {row['convention']}", style="dim")
    console.print("\nParameters include the statistics of normalisation. FLOPs are multiply-adds for one image.")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    size = "×".join(map(str, row["input"]))
    weights = [name for name in row["weights"] if not name.endswith("-features")] or row["weights"]
    return row["name"], f"{row['parameters']:,}", _figure(row["flops"]), size, ", ".join(weights)


def _columns(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> list[str]:
    """Cells under their titles, never shortened, so that they can be read by a program too."""
    table = [titles, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    sides = [">" if title in right else "<" for title in titles]
    cut = [zip(row, sides, widths, strict=True) for row in table]
    return ["  ".join(f"{cell:{side}{width}}" for cell, side, width in row).rstrip() for row in cut]


def _figure(number: int) -> str:
    from lensmith.compose.diagram import figure

    return figure(number)


def _short(origin: str) -> str:
    """Authors and years without titles.

    >>> _short("He et al. 2016, Deep Residual Learning for Image Recognition; Identity Mappings")
    'He et al. 2016'
    """
    found = (re.match(r".*?\b\d{4}[a-z]?\b", work.strip()) for work in origin.split(";"))
    return "; ".join(match[0] for match in found if match)


def _read(name: str) -> Recipe:
    """The recipe of this name in the zoo, or in a YAML file.

    Raises:
        SettingError: there is none, the file cannot be read or says something else.
    """
    from lensmith.compose import Recipe, zoo

    if not name.endswith((".yaml", ".yml")):
        return zoo.get(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise check.SettingError(f"{name}: the recipe cannot be read: {reason}") from None
    try:
        return Recipe.from_yaml(text)
    except check.SettingError as error:
        raise check.SettingError(f"{name}: {error}") from None


def _one(name: str, draw: Path | None, console: Any) -> dict[str, Any]:
    from lensmith.compose import drawing

    recipe = _read(name)
    row, boxes = _row(name, recipe), drawing.plan(recipe)
    taps = [tap for box in boxes for tap in box.taps]
    _introduce(row, console)
    console.print(f"\n{drawing.as_text(boxes)}\n")
    _show_parts(boxes, console)
    if taps:
        _show_taps(taps, console)
    if draw:
        _draw(name, row, boxes, draw)
        console.print(f"Drawn: {draw}")
    return {
        **row,
        "parts": [_part(box) for box in boxes],
        "taps": [
            {"name": tap.name, "stride": tap.stride, "layer": tap.layer, "shape": list(tap.shape)} for tap in taps
        ],
        "recipe": recipe.to_dict(),
        "drawing": str(draw) if draw else None,
    }


def _introduce(row: dict[str, Any], console: Any) -> None:
    console.print(row["name"], style="bold")
    if row["origin"]:
        console.print(f"{row['origin']}\n{row['family']}: {row['convention']}")
    total = f"{row['parameters']:,} parameters, {row['trainable_parameters']:,} trainable"
    console.print(f"{total}; {_figure(row['flops'])} FLOPs (multiply-adds) an image")
    if row["weights"]:
        console.print(f"weights: {', '.join(row['weights'])}")


def _part(box: Box) -> dict[str, Any]:
    part = box.part
    return {
        "name": part.name,
        "role": box.role,
        "made_of": box.says,
        "layers": part.detail,
        "blocks": box.blocks,
        "output": list(part.shape),
        "parameters": part.parameters,
        "trainable_parameters": part.trainable,
        "flops": part.flops,
        "reads": list(part.sources),
    }


def _show_parts(boxes: Sequence[Box], console: Any) -> None:
    from lensmith.compose.drawing import shape_in_words

    right = ("blocks", "parameters", "FLOPs")
    rows = [
        (
            box.part.name,
            str(box.blocks or ""),
            shape_in_words(box.part.shape),
            f"{box.part.parameters:,}",
            _figure(box.part.flops),
            box.part.detail,
        )
        for box in boxes
    ]
    _show(("part", "blocks", "output", "parameters", "FLOPs", "layers with weights"), rows, right, console)


def _show_taps(taps: Sequence[Tap], console: Any) -> None:
    rows = [
        (tap.name, str(tap.stride), "×".join(map(str, tap.shape[:2])), str(tap.shape[2]), tap.layer) for tap in taps
    ]
    _show(("tap", "stride", "size", "channels", "layer"), rows, ("stride", "channels"), console)


def _show(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str], console: Any) -> None:
    head, *lines = _columns(titles, rows, right)
    console.print(head, style="bold")
    console.print("\n".join(lines) + "\n")


def _draw(name: str, row: dict[str, Any], boxes: Sequence[Box], path: Path) -> None:
    from lensmith.compose.diagram import as_svg
    from lensmith.files import put_file

    origin = [_short(row["origin"])] if row["origin"] else []
    lead = " · ".join([*origin, f"{_figure(row['parameters'])} parameters", f"{_figure(row['flops'])} FLOPs"])
    text = as_svg(boxes, Path(name).stem if name.endswith((".yaml", ".yml")) else name, lead)
    put_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))
