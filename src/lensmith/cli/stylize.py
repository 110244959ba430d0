"""``lensmith stylize``: a photograph painted in the style of pictures."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lensmith import check
from lensmith.cli import show

if TYPE_CHECKING:
    from rich.progress import Progress

    from lensmith.stylize.course import Moment
    from lensmith.stylize.network import Network
    from lensmith.stylize.painting import Painting
    from lensmith.stylize.settings import Settings

NAME = "stylize"

_PREVIEW = 4.0  # seconds between two pictures of what is painted so far
_SHARE = 20  # which may take one part in so many of the time


def command(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The image that is painted, or bundled:china.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE...", help="One image or more, in whose style.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png or .jpg.")],
    size: Annotated[int | None, typer.Option(min=1, help="The longer side in pixels.", show_default="512")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of the optimiser.", show_default="300")] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE|imagenet", help="Trained weights of a zoo network.", show_default="Keras' cache"),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A zoo name, a run, a saved model or a .keras file, whose feature maps judge.")
    ] = "vgg19",
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Where none are at hand, judge by a network that learnt nothing.")
    ] = False,
    content_weight: Annotated[float | None, typer.Option(help="Of the content.", show_default="1")] = None,
    style_weight: Annotated[float | None, typer.Option(help="Of the styles.", show_default="3000")] = None,
    variation_weight: Annotated[
        float | None, typer.Option(help="Of the differences between neighbouring pixels.", show_default="30")
    ] = None,
    content_layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=WEIGHT]", help="May be repeated.", show_default="block5_conv2, or the last tap"),
    ] = None,
    style_layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHT]", help="May be repeated.", show_default="block1_conv1 … block5_conv1, or all taps"
        ),
    ] = None,
    optimizer: Annotated[Literal["adam", "lbfgs"] | None, typer.Option(show_default="adam")] = None,
    rate: Annotated[float | None, typer.Option(help="Of Adam, in units of 0..1.", show_default="0.02")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="content|noise|FILE", help="What is begun with.", show_default="content")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=1, help="Sizes, each twice the one before.", show_default="down to 512 pixels")
    ] = None,
    keep_colours: Annotated[
        bool, typer.Option("--keep-colours", help="Take only light and dark from the style.")
    ] = False,
    blend: Annotated[
        list[float] | None, typer.Option(metavar="WEIGHT", help="One for each STYLE.", show_default="all the same")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="A black and white picture: paint where it is white; the rest becomes white.")
    ] = None,
    where: Annotated[
        Literal["inside", "outside"] | None,
        typer.Option(help="With --mask: paint there, and leave the rest of CONTENT as it is."),
    ] = None,
    invert: Annotated[bool, typer.Option("--invert", help="With --mask: black is inside.")] = False,
    region: Annotated[
        list[Path] | None, typer.Option(metavar="MASK", help="One for each STYLE: where it is painted.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Write a picture of its own after every N steps.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this painting was stopped.")] = False,
    save_every: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Steps after which it could be gone on from.", show_default="half a minute"
        ),
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Larger images are computed in tiles of this side.", show_default="1024")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of noise and random weights.", show_default="0")] = None,
    as_json: show.Json = False,
) -> None:
    """Paint CONTENT in the style of STYLE: as Gatys et al. 2016 do, by optimising the pixels."""
    from lensmith import data
    from lensmith.stylize import masks, pictures
    from lensmith.stylize import state as states
    from lensmith.stylize.painting import paint
    from lensmith.stylize.task import check_counts
    from lensmith.train import interrupt

    if mask is None and (where or invert):
        place = "--where" if where else "--invert"
        raise check.SettingError(check.sentence(place, "a --mask beside it", "none"))
    content, styles = data.image_path(content), [data.image_path(style) for style in styles]
    begin = None if start in (None, "content", "noise") else data.image_path(str(start))
    check_counts(len(styles), blend or (), len(region or ()))
    others = {"CONTENT": content, "--mask": mask, "--start": begin}
    others |= {f"STYLE {style.name}": style for style in styles} | {f"--region {one.name}": one for one in region or ()}
    _check_others(out, others)
    given: dict[str, Any] = {
        "size": size,
        "steps": steps,
        "rate": rate,
        "optimizer": optimizer,
        "levels": levels,
        "tile": tile,
    }
    given |= {"content_weight": content_weight, "style_weight": style_weight, "variation_weight": variation_weight}
    given |= {"seed": seed, "keep_colours": keep_colours, "start": start if start in ("content", "noise") else None}
    settings = _settings(given)
    photo, paintings = pictures.read(content), [pictures.read(style) for style in styles]
    extent = (photo.shape[0], photo.shape[1])
    inside = None if mask is None else masks.read(mask, extent, invert=invert != (where == "outside"))
    regions = [masks.read(one, extent) for one in region or ()]
    image = None if begin is None else pictures.read(begin)
    pictures.check_target(out)
    kept = states.path_for(out)
    if resume:
        states.read(kept)  # before the network is opened, which takes longer
    network, settings = _network(model, settings, content_layer, style_layer, weights, random_weights)
    told = show.progress_console()
    for asked, used in network.replaced:
        told.print(f"{asked} has no weights: {used} stands in for it", soft_wrap=True)
    if not network.trained:
        told.print(f"{network.name} learnt nothing: its weights are random", soft_wrap=True)
    if kept.is_file() and not resume:
        told.print(f"Begun anew: {kept} is of an unfinished painting, and is replaced", soft_wrap=True)
    with interrupt.requests() as asked_to_stop, _watching(out, every) as watch:
        painting = paint(
            photo,
            paintings,
            network,
            settings,
            blend=blend or (),
            mask=inside,
            elsewhere="content" if where else "white",
            regions=regions,
            start=image,
            state=kept,
            resume=resume,
            save_every=save_every,
            stop=lambda: bool(asked_to_stop),
            progress=watch,
        )
    pictures.write(out, painting.image)
    _finish(painting, settings, out, [*watch.written, out], kept, as_json)


def _check_others(out: Path, others: Mapping[str, Path | None]) -> None:
    """Refuse to write over what is read."""
    for place, path in others.items():
        if path is not None and path.resolve() == out.resolve():
            raise check.SettingError(check.sentence("--out", f"another file than {place}", str(out)))


def _settings(given: Mapping[str, Any]) -> Settings:
    from lensmith.stylize.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


def _layers(place: str, given: list[str] | None) -> dict[str, float] | None:
    """``NAME`` or ``NAME=WEIGHT``, each once."""
    if not given:
        return None
    found: dict[str, float] = {}
    for one in given:
        name, equals, weight = one.partition("=")
        try:
            found[name] = float(weight) if equals else 1.0
        except ValueError:
            raise check.SettingError(check.sentence(place, "NAME or NAME=WEIGHT", repr(one))) from None
    return found


def _network(
    name: str,
    settings: Settings,
    content_layer: list[str] | None,
    style_layer: list[str] | None,
    weights: str | None,
    random: bool,
) -> tuple[Network, Settings]:
    """The network that judges, and the settings with the layers that it is asked for."""
    from lensmith.compose import zoo
    from lensmith.stylize.network import open_network
    from lensmith.stylize.settings import layers_for

    source, preprocessing = _source(name, weights) if name not in zoo.TABLE else (name, None)
    content, style = _layers("--content-layer", content_layer), _layers("--style-layer", style_layer)
    if content is None or style is None:
        usual = layers_for(source)
        content, style = content or usual[0], style or usual[1]
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    settings = _settings(values | {"content_layers": content, "style_layers": style})
    asked = list(dict.fromkeys([*content, *style]))
    file = weights if name in zoo.TABLE else None
    opened = open_network(source, asked, weights=file, preprocessing=preprocessing, random=random, seed=settings.seed)
    return opened, settings


def _source(path: str, weights: str | None) -> tuple[Any, Any]:
    """The Keras model at a path, and what it wants of pixels.

    Raises:
        SettingError: it is nothing whose feature maps can be looked at.
    """
    from lensmith import runs
    from lensmith.compose import zoo

    if not Path(path).exists():
        expected = "a zoo name, or the path of a run, a saved model or a .keras file"
        raise check.SettingError(check.sentence("--model", expected, repr(path), check.nearest(path, zoo.TABLE)))
    if weights is not None:
        raise check.SettingError(check.sentence("--weights", "none beside a --model that has its own", weights))
    subject = runs.open_subject(path)
    return subject.model, subject.preprocessing


class _Watch:
    """Shows how far a painting is, on standard error, and writes what it looks like."""

    def __init__(self, out: Path, every: int | None, bar: Progress) -> None:
        self.written: list[Path] = []
        self._out, self._every, self._bar = out, every, bar
        self._task = bar.add_task("", total=1.0, values="")
        self._shown, self._wait = time.perf_counter(), _PREVIEW
        self._began: tuple[float, float] | None = None
        self._tenth = -1

    def __call__(self, moment: Moment) -> None:
        from lensmith.stylize import pictures

        self._began = self._began or (time.perf_counter(), moment.done)
        self._tell(moment)
        picture = None
        if self._every and moment.step and moment.step % self._every == 0:
            picture = moment.picture()
            self.written.append(pictures.write(pictures.numbered(self._out, moment.step), picture))
        before = time.perf_counter()
        if before - self._shown >= self._wait:
            pictures.write(self._out, moment.picture() if picture is None else picture)
            self._shown = time.perf_counter()
            self._wait = max(_PREVIEW, _SHARE * (self._shown - before))

    def _tell(self, moment: Moment) -> None:
        height, width = moment.size
        values = f"step {moment.step}/{moment.steps}  {width}×{height}  loss {moment.loss:.4g}"
        if moment.halved:
            values += f"  rate halved {moment.halved}×"
        if not self._bar.disable:
            self._bar.update(self._task, completed=moment.done, values=values)
            return
        tenth = 10 * moment.step // moment.steps
        if tenth != self._tenth:  # where there is no bar, a line ten times
            self._tenth = tenth
            self._bar.console.print(f"{values}{self._left(moment)}", soft_wrap=True)

    def _left(self, moment: Moment) -> str:
        began, first = self._began or (0.0, 0.0)
        if moment.done == first or moment.done == 1:
            return ""
        left = (time.perf_counter() - began) / (moment.done - first) * (1 - moment.done)
        return f"  {left:.0f} s left"


@contextmanager
def _watching(out: Path, every: int | None) -> Iterator[_Watch]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), TextColumn("{task.fields[values]}"), TimeElapsedColumn(), TextColumn("left"))
    left = TimeRemainingColumn()
    with Progress(*columns, left, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Watch(out, every, bar)


def _finish(painting: Painting, settings: Settings, out: Path, written: list[Path], kept: Path, as_json: bool) -> None:
    """Say what came of it.

    Raises:
        LensmithError: it ended before its end.
    """
    console = show.console(as_json)
    stopped = painting.ended == "stopped"
    height, width = painting.image.shape[:2]
    console.print(f"{out}  {width}×{height} pixels, {painting.steps} steps, {painting.seconds:.1f} s")
    console.print(f"loss {painting.first_loss:.4g} → {painting.last_loss:.4g}, {painting.steps_per_second:.3g} steps/s")
    if as_json:
        show.document(_document(painting, out, written, kept if stopped else None))
    if stopped:
        raise check.LensmithError(
            f"stopped after {painting.steps} of {settings.steps} steps: {out} is what was painted so far."
            " Go on with the same words and --resume"
        )
    if painting.ended == "not finite":
        raise check.LensmithError(
            f"the loss became no number after {painting.steps} steps, with smaller steps too: {out} is the last good"
            " picture. Try a lower --rate or lower weights"
        )
    if painting.ended == "nothing to gain":
        print(f"Ended after {painting.steps} steps: nothing more to gain", file=sys.stderr)


def _document(painting: Painting, out: Path, written: list[Path], kept: Path | None) -> dict[str, Any]:
    """What a machine is told."""
    shape: tuple[int, ...] = painting.image.shape
    return {
        "out": str(out),
        "size": list(shape[:2]),
        "first_loss": painting.first_loss,
        "last_loss": painting.last_loss,
        "steps": painting.steps,
        "seconds": painting.seconds,
        "steps_per_second": painting.steps_per_second,
        "replaced": [{"asked": asked, "used": used} for asked, used in painting.replaced],
        "pictures": [str(path) for path in written],
        "ended": painting.ended,
        "halved": painting.halved,
        "state": None if kept is None else str(kept),
    }
