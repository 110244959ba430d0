"""``lensmith stylize``: a photograph painted in the style of pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lensmith import check
from lensmith.cli import painting_inputs, show
from lensmith.cli.painting_progress import painting_progress

if TYPE_CHECKING:
    from rich.console import Console

    from lensmith.stylize.network import Network
    from lensmith.stylize.painting import Painting
    from lensmith.stylize.settings import Settings

NAME = "stylize"


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
    scaling: Annotated[
        str | None, typer.Option(help="Of a .keras file: 0..1, -1..1 or none (0..255).", show_default="0..1")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Where none are at hand, judge by a network that learnt nothing.")
    ] = False,
    content_weight: Annotated[float | None, typer.Option(help="Of the content.", show_default="1")] = None,
    style_weight: Annotated[float | None, typer.Option(help="Of the styles.", show_default="500")] = None,
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
        int | None,
        typer.Option(
            min=1, help="Larger images are computed in tiles of this side; small ones take longer.", show_default="1024"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of noise and random weights.", show_default="0")] = None,
    as_json: show.Json = False,
) -> None:
    """Paint CONTENT in the style of STYLE: as Gatys et al. 2016 do, by optimising the pixels."""
    from lensmith import data
    from lensmith.stylize import pictures
    from lensmith.stylize import state as states
    from lensmith.stylize.painting import paint
    from lensmith.stylize.settings import check_counts
    from lensmith.train import interrupt

    if mask is None and (where or invert):
        place = "--where" if where else "--invert"
        raise check.SettingError(check.sentence(place, "a --mask beside it", "none"))
    check_counts(len(styles), blend or (), len(region or ()))
    image = painting_inputs.beginning(start)
    settings = painting_inputs.settings_of(
        {
            "size": size,
            "steps": steps,
            "content_weight": content_weight,
            "style_weight": style_weight,
            "variation_weight": variation_weight,
            "optimizer": optimizer,
            "rate": rate,
            "start": None if image else start,
            "levels": levels,
            "keep_colours": keep_colours,
            "tile": tile,
            "seed": seed,
        }
    )
    files = painting_inputs.Files(
        data.image_path(content),
        tuple(data.image_path(style) for style in styles),
        image,
        mask,
        tuple(region or ()),
    )
    painting_inputs.refuse_overwriting(out, every, settings.steps, files)
    images = painting_inputs.read(files, invert=invert != (where == "outside"))
    pictures.check_target(out)
    kept = states.path_for(out)
    if resume:
        states.read(kept)  # before the network is opened, which takes longer
    network, settings = painting_inputs.network_for(
        model, settings, content_layer, style_layer, weights, random_weights, scaling
    )
    told = show.progress_console()
    _tell(told, network, kept if kept.is_file() and not resume else None)
    with interrupt.requests() as asked_to_stop, painting_progress(out, every, told) as progress:
        painting = paint(
            images.content,
            images.styles,
            network,
            settings,
            blend=blend or (),
            mask=images.mask,
            elsewhere="content" if where else "white",
            regions=images.regions,
            start=images.start,
            state=kept,
            resume=resume,
            save_every=save_every,
            stop=lambda: bool(asked_to_stop),
            progress=progress,
        )
    pictures.write(out, painting.image)
    _finish(painting, settings, out, [*progress.written, out], kept, as_json)


# --- what is told --------------------------------------------------------------------------------------------------


def _tell(console: Console, network: Network, replaced: Path | None) -> None:
    """What is said before the first step."""
    for asked, used in network.replaced:
        console.print(f"{asked} has no weights: {used} stands in for it", soft_wrap=True)
    if not network.trained:
        console.print(f"{network.name} learnt nothing: its weights are random", soft_wrap=True)
    if replaced is not None:
        console.print(f"Begun anew: {replaced} is of an unfinished painting, and is replaced", soft_wrap=True)


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
        "height": shape[0],
        "width": shape[1],
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
