"""What is asked of a painting: layers, weights, sizes, steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lensmith import check

# Gatys et al. 2016, section 3.1, on VGG19: the books take the same.
CONTENT_LAYERS: Mapping[str, float] = {"block5_conv2": 1.0}
STYLE_LAYERS: Mapping[str, float] = {f"block{number}_conv1": 1.0 for number in range(1, 6)}

# Pixels of the longer side of the smallest level, when there are several: on fewer nothing is to be seen.
SMALLEST = 32
# Pixels of the smallest level where nobody says how many levels there are: about what the networks were trained on, and
# what Gatys et al. 2017 (section 6) begin with.
USUAL = 512


@dataclass(frozen=True, slots=True)
class Settings:
    """How an image is painted.

    Args:
        size: the longer side of the painting in pixels; the other follows from the content's shape.
        steps: of the optimiser, in all levels together.
        content_weight: of the content's features against the rest.
        style_weight: of the styles' Gram matrices.
        variation_weight: of the differences between neighbouring pixels; smooths.
        content_layers: taps or layers with their weights; VGG19's are called as in its paper, ``block5_conv2``.
        style_layers: likewise.
        optimizer: ``adam`` or ``lbfgs``.
        rate: of Adam, in units of pixels 0..1.
        start: where the pixels begin: at the ``content``, or at ``noise``.
        levels: coarse to fine: each level has twice the size of the one before, and the last has ``size``. The steps
            are shared out equally; what is left over goes to the smaller, where steps are cheap. None for as many as
            have 512 pixels or more, and one below.
        keep_colours: take only light and dark from the style.
        tile: images whose longer side is longer than this are computed in tiles of this side, of which only one has
            its feature maps in memory; the result is the same. What still grows with the image are pixels, masks,
            the maps of the content's layers, and with L-BFGS 1.4 kB for each pixel.
        seed: of the noise.
        normalise: whether features are divided by their root mean square on the image that they are the target of, so
            that weights mean the same for every layer of every network.

    Raises:
        SettingError: a value is out of its range; names it.
    """

    size: int = 512
    steps: int = 300
    content_weight: float = 1.0
    style_weight: float = 500.0
    variation_weight: float = 30.0
    content_layers: Mapping[str, float] = field(default_factory=lambda: dict(CONTENT_LAYERS))
    style_layers: Mapping[str, float] = field(default_factory=lambda: dict(STYLE_LAYERS))
    optimizer: Literal["adam", "lbfgs"] = "adam"
    rate: float = 0.02
    start: Literal["content", "noise"] = "content"
    levels: int | None = None
    keep_colours: bool = False
    tile: int = 1024
    seed: int = 0
    normalise: bool = True

    def __post_init__(self) -> None:
        for name in ("size", "steps", "tile"):
            check.positive(name, getattr(self, name))
        for name in ("content_weight", "style_weight", "variation_weight"):
            check.between(name, getattr(self, name), 0, 1e12)
        check.one_of("optimizer", self.optimizer, ("adam", "lbfgs"))
        check.one_of("start", self.start, ("content", "noise"))
        check.between("rate", self.rate, 1e-6, 1.0)
        for name in ("content_layers", "style_layers"):
            for layer, weight in getattr(self, name).items():
                check.between(f"{name}.{layer}", weight, 0, 1e12)
        if not self.style_layers and not self.content_layers:
            raise check.SettingError(check.sentence("layers", "at least one of content or style", "none"))
        for name in ("content_layers", "style_layers"):
            if getattr(self, name) and not any(getattr(self, name).values()):
                raise check.SettingError(check.sentence(name, "a weight above 0 for one of them", "0 for all"))
        if self.levels is not None:
            check.positive("levels", self.levels)
        if len(self.sizes) > 1 and self.sizes[0] < SMALLEST:
            expected = f"levels of {SMALLEST} pixels or more"
            got = f"{self.levels} levels up to {self.size} pixels"
            raise check.SettingError(check.sentence("levels", expected, got, "Ask for fewer"))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The longer side of each level in pixels, unless an image is very narrow, from the smallest to the largest.

        >>> Settings(size=1024).sizes, Settings(size=512, levels=3).sizes, Settings(size=300).sizes
        ((512, 1024), (128, 256, 512), (300,))
        """
        levels = self.levels or max(1, (self.size // USUAL).bit_length())
        return tuple(max(1, self.size >> (levels - 1 - level)) for level in range(levels))


def layers_for(source: Any) -> tuple[dict[str, float], dict[str, float]]:
    """The layers of content and style that a network is usually asked for.

    Args:
        source: a name of the zoo, or a ``keras.Model``.

    Returns:
        For a VGG those of the paper. For any other the last feature maps of all sizes as its style, and the smallest
        of them as its content.

    Raises:
        SettingError: there is no such name, or the model has no taps: the layers have to be named.
    """
    from lensmith.compose import views, zoo

    if isinstance(source, str):
        if source.startswith("vgg"):
            return dict(CONTENT_LAYERS), dict(STYLE_LAYERS)
        source = zoo.get(source).build()
    taps = list(views.tap_names(source))
    if not taps:
        remedy = "Name them: --content-layer NAME --style-layer NAME"
        raise check.SettingError(check.sentence("layers", "a model with taps", "one with none", remedy))
    return {taps[-1]: 1.0}, dict.fromkeys(taps, 1.0)


def check_counts(styles: int, blend: Sequence[float], regions: int) -> None:
    """Refuse weights and regions that are not one for each style.

    Raises:
        SettingError: says how many there are of which.
    """
    for place, count in (("blend", len(blend)), ("region", regions)):
        if count and count != styles:
            expected = "one for each style, " + (f"{styles} of them" if styles > 1 else "so one")
            raise check.SettingError(check.sentence(place, expected, count))
    for weight in blend:
        check.between("blend", weight, 0, 1e12)
    if blend and not any(blend):
        raise check.SettingError(check.sentence("blend", "a weight above 0 for one of them", "0 for all"))
