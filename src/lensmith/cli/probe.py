"""``lensmith probe``: what is inside a model, and why it says what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lensmith import check
from lensmith.cli import show
from lensmith.cli.reading import FormatName, Read, source_of

NAME = "probe"
# As in lensmith.probe.LOOKS, which takes seconds to import; a test compares them.
LOOKS = (
    "cam",
    "cam++",
    "occlusion",
    "gradients",
    "maps",
    "layer",
    "pooling",
    "times",
    "kernels",
    "table",
    "maximise",
    "statistics",
    "examples",
    "embedding",
    "neighbours",
)


def command(
    model: Annotated[Path, typer.Argument(help="A run, a saved model, a .keras file or a zoo name.")],
    things: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE|DATA]...", help="Image files, or bundled:flower; a folder or table is DATA."),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Images: statistics, embedding, neighbours of IMAGE.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Where arrays, pictures and a page go.", show_default="RUN/probe, or probe/"),
    ] = None,
    what: Annotated[
        list[str] | None,
        typer.Option(
            "--show",
            help="cam, cam++, occlusion, gradients, maps, layer, …; may be repeated.",
            show_default="the usual",
        ),
    ] = None,
    layer: Annotated[list[str] | None, typer.Option(help="A tap such as P3, or a layer; may be repeated.")] = None,
    unit: Annotated[int | None, typer.Option(min=0, help="A channel of the layer: what it answers to.")] = None,
    target: Annotated[
        str | None, typer.Option("--class", help="Why this class, by name or number.", show_default="the most probable")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Of a model with several tasks.", show_default="the first")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="MODEL OTHER [DATA]: where two models disagree.")] = False,
    weights: Annotated[
        list[str] | None, typer.Option(help="For a zoo name: imagenet, or a file; a second for OTHER.")
    ] = None,
    scaling: Annotated[str | None, typer.Option(help="Of a .keras file: 0..1, -1..1 or none (0..255).")] = None,
    size: Annotated[
        tuple[int, int] | None, typer.Option(help="Of a .keras file for any size: height and width.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A file with the names of the classes, one on each line.")] = None,
    format: FormatName = None,
    read: Read = None,
    as_json: show.Json = False,
) -> None:
    """Look inside MODEL: feature maps, kernels, why it says what it says of an IMAGE, what it makes of DATA."""
    from lensmith import runs
    from lensmith.probe import Wanted

    wanted = Wanted(tuple(what or ()), tuple(layer or ()), unit, head, target)
    others, given = (things or [])[:compare], (things or [])[compare:]
    images, found = _told_apart(given, source)
    data = None if found is None else source_of(found, format, read)
    known = [*(weights or ()), None, None]
    console = show.console(as_json)
    with show.several() as tell:
        if compare:
            first, second = model, Path(_other(others))
            pair = (runs.open_predictor(first, known[0]), runs.open_predictor(second, known[1]))
            records = runs.to_compare(first, data, images)
            names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
            made = runs.compare_inside(*pair, names, out or Path("probe"), records, tell=tell)
        else:
            subject = runs.open_subject(model, known[0], scaling=scaling, size=size, names=_names(labels))
            folder = out or runs.probe_folder(model)
            made = runs.look_inside(subject, folder, images=images, source=data, wanted=wanted, tell=tell)
    _say(made, console)
    if as_json:
        show.document(made)


def _told_apart(things: list[str], source: str | None) -> tuple[list[Path], str | None]:
    """The image files among what was named, and the one data set."""
    from lensmith.data import image_path
    from lensmith.data.images import EXTENSIONS

    images, sources = [], [] if source is None else [source]
    for thing in things:
        path = Path(thing) if thing.startswith("bundled:") else image_path(thing)
        if thing in ("bundled:china", "bundled:flower"):
            images.append(image_path(thing))
        elif path.suffix.lower().removeprefix(".") in EXTENSIONS and not path.is_dir():
            images.append(path)
        else:
            sources.append(thing)
    if len(sources) > 1:
        raise check.SettingError(check.sentence("DATA", "images, and one data set", " and ".join(sources)))
    return images, sources[0] if sources else None


def _other(others: list[str]) -> str:
    if not others:
        remedy = "lensmith probe --compare MODEL OTHER DATA"
        raise check.SettingError(check.sentence("--compare", "two models", "one", remedy))
    return others[0]


def _names(path: Path | None) -> tuple[str, ...] | None:
    """The names in a file, one on each line."""
    if path is None:
        return None
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise check.SettingError(f"{path}: the names cannot be read: {reason}") from None


def _say(made: dict[str, Any], console: Any) -> None:
    for note in made.get("notes", ()):
        console.print(note)
    for look in made["looks"]:
        console.print(look["name"], style="bold")
        for task, scored in look.get("predictions", {}).items():
            console.print(f"  {task}: " + ", ".join(f"{name} {value:.3f}" for name, value in scored.items()))
        for problem in look.get("set_aside", ()):
            console.print(f"  set aside: {problem['source']}: {problem['reason']}")
        for figure in look["figures"]:
            console.print(f"  {figure['title']}: {figure['picture']}")
    console.print(f"Page      {made['page']}")
    if made["report"]:
        console.print(f"Report    {made['report']}")
