"""What is to be painted: images, masks and weights, checked, and what each level makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.stylize import colours, masks, pictures
from lensmith.stylize import state as states
from lensmith.stylize.masks import Elsewhere, Mask
from lensmith.stylize.objective import Objective, objective
from lensmith.stylize.settings import SMALLEST, Settings, check_counts

if TYPE_CHECKING:
    from lensmith.stylize.network import Network


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be painted, checked; images at their own sizes."""

    content: np.ndarray
    styles: tuple[np.ndarray, ...]
    network: Network
    settings: Settings
    blend: tuple[float, ...]
    mask: Mask | None
    elsewhere: Elsewhere
    regions: tuple[Mask, ...]
    start: np.ndarray | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The longer side of each level; levels that nobody asked for are left out where an image is too narrow."""
        sizes = self.settings.sizes
        if self.settings.levels is None:
            shapes = [image.shape[:2] for image in (self.content, *self.styles)]
            wide = [longest for longest in sizes if min(min(pictures.size_for(s, longest)) for s in shapes) >= SMALLEST]
            sizes = tuple(wide) or sizes[-1:]
        return sizes

    def size(self, level: int) -> tuple[int, int]:
        height, width = self.content.shape[:2]
        return pictures.size_for((height, width), self.sizes[level])

    def objective(self, level: int) -> Objective:
        """The objective of a level: its content, its styles, its masks."""
        size = self.size(level)
        content = pictures.scaled(self.content, size)
        longest = max(size)
        styles = [pictures.scaled(style, pictures.size_for(style.shape[:2], longest)) for style in self.styles]
        if self.settings.keep_colours:
            styles = [colours.matched(style, content) for style in styles]
            content = colours.gray(content)
        regions = [masks.scaled(region, size) for region in self._guides()]
        return objective(self.network, content, styles, self.settings, blend=self.blend, regions=regions)

    def _guides(self) -> list[Mask]:
        """A mask for each style, or none: what is not shown has no style to fit."""
        if self.mask is None:
            return list(self.regions)
        return [region * self.mask for region in self.regions] or [self.mask] * len(self.styles)

    def first(self) -> np.ndarray:
        """The picture to begin with, ``(1, h, w, 3)``."""
        size = self.size(0)
        if self.start is None and self.settings.start == "noise":
            return np.random.default_rng(self.settings.seed).random((1, *size, 3), dtype=np.float32)
        pixels = pictures.scaled(self.content if self.start is None else self.start, size)
        return (colours.gray(pixels) if self.settings.keep_colours else pixels)[None]

    def finished(self, pixels: Any) -> np.ndarray:
        """Pixels of any level as the uint8 picture of the final size."""
        size = self.size(-1)
        painted = keras.ops.convert_to_numpy(pixels)[0]
        painted = painted if painted.shape[:2] == size else pictures.scaled(painted, size)
        content = pictures.scaled(self.content, size)
        if self.settings.keep_colours:
            painted = colours.kept(painted, content)
        if self.mask is not None:
            painted = masks.laid(painted, content, masks.scaled(self.mask, size), self.elsewhere)
        return pictures.to_bytes(painted)

    def facts(self) -> dict[str, Any]:
        """What the bits of the result depend on, as JSON values; not the number of steps."""
        weights = [keras.ops.convert_to_numpy(one) for one in self.network.model.weights]
        facts: dict[str, Any] = {
            "content": _told(self.content),
            "style": [_told(style) for style in self.styles],
            "blend": list(self.blend),
            "mask": None if self.mask is None else _told(self.mask),
            "elsewhere": self.elsewhere if self.mask is not None else None,
            "region": [_told(region) for region in self.regions],
            "network": self.network.name,
            "weights": states.digest(*weights),
            "backend": keras.config.backend(),
        }
        settings = asdict(self.settings)
        del settings["steps"], settings["levels"]
        settings["levels"] = len(self.sizes)
        for name in ("content_layers", "style_layers"):
            settings[name] = dict(settings[name])
        start = settings["start"] if self.start is None else _told(self.start)
        return facts | settings | {"start": start}


def _told(image: np.ndarray) -> str:
    return f"{masks.said(image.shape)} {states.digest(image)[:8]}"


def checked_task(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    network: Network,
    settings: Settings,
    blend: Sequence[float],
    mask: Mask | None,
    elsewhere: Elsewhere,
    regions: Sequence[Mask],
    start: np.ndarray | None,
) -> Task:
    check.one_of("elsewhere", elsewhere, ("white", "content"))
    if not styles:
        raise check.SettingError(check.sentence("styles", "one image or more", "none"))
    check_counts(len(styles), blend, len(regions))
    content = pictures.checked(content, "content")
    for place, one in (("mask", mask), *((f"region {i + 1}", region) for i, region in enumerate(regions))):
        if one is not None:
            masks.check_size(one, content.shape[:2], place)
    for i, region in enumerate(regions):
        if mask is not None and not (region * mask).any():
            raise check.DataError(check.sentence(f"region {i + 1}", "a part inside the mask", "none"))
    return Task(
        content,
        tuple(pictures.checked(style, f"style {i + 1}") for i, style in enumerate(styles)),
        network,
        settings,
        tuple(float(weight) for weight in blend),
        mask,
        elsewhere,
        tuple(regions),
        None if start is None else pictures.checked(start, "start"),
    )
