"""What ``lensmith stylize`` is given: pictures, settings, and the network that judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensmith import check

if TYPE_CHECKING:
    import numpy as np

    from lensmith.stylize.network import Network
    from lensmith.stylize.settings import Settings


@dataclass(frozen=True, slots=True)
class Files:
    """The pictures that are read."""

    content: Path
    styles: tuple[Path, ...]
    start: Path | None
    mask: Path | None
    regions: tuple[Path, ...]

    def named(self) -> list[tuple[str, Path]]:
        """All of them, by what the words of the command call them."""
        found = [("CONTENT", self.content), ("--start", self.start), ("--mask", self.mask)]
        found += [(f"STYLE {style.name}", style) for style in self.styles]
        found += [(f"--region {region.name}", region) for region in self.regions]
        return [(name, path) for name, path in found if path is not None]


@dataclass(frozen=True, slots=True)
class Images:
    """The same as pixels and masks."""

    content: np.ndarray
    styles: list[np.ndarray]
    start: np.ndarray | None
    mask: np.ndarray | None
    regions: list[np.ndarray]


def beginning(start: str | None) -> Path | None:
    """The picture that is begun with, where it is neither the content nor noise.

    Raises:
        SettingError: it is none of the three.
    """
    from lensmith import data

    if start in (None, "content", "noise"):
        return None
    path = data.image_path(str(start))
    if not path.exists() and not path.suffix:
        remedy = check.nearest(str(start), ("content", "noise"))
        raise check.SettingError(check.sentence("--start", "content, noise or a picture", repr(start), remedy))
    return path


def read(files: Files, *, invert: bool) -> Images:
    """Their pixels, with masks of the content's size; ``invert`` is of the mask."""
    from lensmith.stylize import masks, pictures

    content = pictures.read(files.content)
    size = (content.shape[0], content.shape[1])
    return Images(
        content,
        [pictures.read(style) for style in files.styles],
        None if files.start is None else pictures.read(files.start),
        None if files.mask is None else masks.read(files.mask, size, invert=invert),
        [masks.read(region, size) for region in files.regions],
    )


def refuse_overwriting(out: Path, every: int | None, steps: int, files: Files) -> None:
    """Refuse to write the painting, or a picture on the way to it, over what is read."""
    from lensmith.stylize import pictures

    folder = out.parent.resolve()
    on_the_way = [pictures.numbered(out, step) for step in range(every, steps + 1, every)] if every else []
    written = {folder / path.name: ("--every", path) for path in on_the_way} | {out.resolve(): ("--out", out)}
    for name, path in files.named():
        if path.resolve() in written:
            place, got = written[path.resolve()]
            raise check.SettingError(check.sentence(place, f"another file than {name}", str(got)))


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings; what is None keeps its usual value."""
    from lensmith.stylize.settings import Settings

    return Settings(**{name: value for name, value in given.items() if value is not None})


def _layers(place: str, given: list[str] | None) -> dict[str, float] | None:
    """``NAME`` or ``NAME=WEIGHT``, each once."""
    if not given:
        return None
    found: dict[str, float] = {}
    for one in given:
        name, equals, weight = one.partition("=")
        if name in found:
            raise check.SettingError(check.sentence(place, "each layer once", f"{name} twice"))
        try:
            found[name] = float(weight) if equals else 1.0
        except ValueError:
            raise check.SettingError(check.sentence(place, "NAME or NAME=WEIGHT", repr(one))) from None
    return found


def network_for(
    name: str,
    settings: Settings,
    content_layer: list[str] | None,
    style_layer: list[str] | None,
    weights: str | None,
    random: bool,
    scaling: str | None,
) -> tuple[Network, Settings]:
    """The network that judges, and the settings with the layers that it is asked for."""
    from lensmith.compose import zoo
    from lensmith.stylize.network import open_network
    from lensmith.stylize.settings import layers_for

    if random and weights is not None:
        raise check.SettingError(check.sentence("--random-weights", "no --weights beside it", weights))
    source, preprocessing = _source(name, weights, scaling) if name not in zoo.TABLE else (name, None)
    content, style = _layers("--content-layer", content_layer), _layers("--style-layer", style_layer)
    if content is None or style is None:
        usual = layers_for(source)
        content, style = content or usual[0], style or usual[1]
    settings = replace(settings, content_layers=content, style_layers=style)
    asked = list(dict.fromkeys([*content, *style]))
    file = weights if name in zoo.TABLE else None
    opened = open_network(source, asked, weights=file, preprocessing=preprocessing, random=random, seed=settings.seed)
    return opened, settings


def _source(path: str, weights: str | None, scaling: str | None) -> tuple[Any, Any]:
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
    if Path(path).is_file() and Path(path).suffix != ".keras":
        raise check.SettingError(check.sentence("--model", "a run, a saved model or a .keras file", path))
    subject = runs.open_subject(path, scaling=scaling)
    return subject.model, subject.preprocessing
