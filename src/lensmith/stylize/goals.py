"""What a painting is compared with: the Gram matrices of its styles, and the feature maps of its content.

References: as :mod:`lensmith.stylize.objective`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.stylize import losses, masks
from lensmith.stylize.settings import Settings
from lensmith.stylize.sweep import Sweep, whole_maps
from lensmith.stylize.tiles import Network, tapped, tiling


@dataclass(frozen=True, slots=True, eq=False)
class StyleGoal:
    """A Gram matrix to come near to, times ``scale`` already, as what is compared with it has to be."""

    layer: str
    index: int  # of the painting's Gram matrix at this layer: the region
    gram: np.ndarray
    scale: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Goals:
    """What the terms compare the painting with, computed once.

    Args:
        style: each adds to the loss.
        weights: by layer, what each position counts in each Gram matrix, summing to 1: ``(matrices, h, w)``.
        guided: whether these are of regions, and not the same everywhere.
        content: by layer, the maps to come near to and the weight of the mean squared difference.
        variation: its weight.
    """

    style: tuple[StyleGoal, ...]
    weights: Mapping[str, np.ndarray]
    guided: bool
    content: Mapping[str, tuple[np.ndarray, float]]
    variation: float

    @property
    def layers(self) -> list[str]:
        return list(dict.fromkeys([*self.weights, *self.content]))


def _layer_weights(network: Network, layers: Mapping[str, float], weight: float) -> dict[str, float]:
    """What each layer's loss weighs. Names for which the network uses the same layer count once, with the largest of
    their weights, and stand under the first."""
    if not weight:
        return {}
    first: dict[str, str] = {}
    for asked, used in network.layers.items():
        first.setdefault(used, asked)
    found: dict[str, float] = {}
    for asked, share in layers.items():
        if share:
            name = first.get(network.layers.get(asked, ""), asked)
            found[name] = max(found.get(name, 0.0), share)
    total = sum(found.values())
    return {name: weight * share / total for name, share in found.items()}


def style_goals(
    network: Network,
    styles: Sequence[np.ndarray],
    settings: Settings,
    blend: Sequence[float],
    size: tuple[int, int],
    regions: Sequence[np.ndarray],
) -> tuple[tuple[StyleGoal, ...], dict[str, np.ndarray]]:
    shares = _layer_weights(network, settings.style_layers, settings.style_weight)
    if not shares:
        return (), {}
    if not styles:
        raise check.SettingError(check.sentence("styles", "at least one image, or a style_weight of 0", "none"))
    model = tapped(network, shares, size)
    goals = []
    for i, (style, part) in enumerate(zip(styles, blend, strict=True)):
        if not part:
            continue
        try:
            grams = _grams(network, list(shares), style, settings.tile)
        except check.SettingError as error:  # the painting itself could be computed
            raise check.SettingError(f"style {i + 1}: {error}") from error
        for layer, gram in grams.items():
            scale = losses.scale(float(np.trace(gram)) / len(gram)) if settings.normalise else 1.0
            goals.append(StyleGoal(layer, i if len(regions) else 0, gram * scale, scale, part * shares[layer]))
    return tuple(goals), {layer: _weights(regions, model.output[layer].shape[1:3]) for layer in shares}


def _grams(network: Network, layers: list[str], image: np.ndarray, tile: int) -> dict[str, np.ndarray]:
    """The Gram matrices ``(c, c)`` of an image at its own size, by layer."""
    cut = tiling(network, layers, (image.shape[0], image.shape[1]), tile)
    weights = {layer: _weights((), grid.whole) for layer, grid in cut.grids.items()}
    found, _ = Sweep(network, cut, weights, {}).sums(keras.ops.convert_to_tensor(image[None], dtype="float32"))
    return {layer: np.asarray(keras.ops.convert_to_numpy(gram), np.float32)[0] for layer, gram in found.items()}


def _weights(regions: Sequence[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """What each position of a layer counts in each Gram matrix: one for each region, or one for the whole image."""
    if not len(regions):
        return np.broadcast_to(np.float32(1 / (grid[0] * grid[1])), (1, *grid))
    return np.stack([losses.guidance(masks.scaled(region.astype(np.float32), grid)) for region in regions])


def content_goals(network: Network, content: np.ndarray, settings: Settings) -> dict[str, tuple[np.ndarray, float]]:
    shares = _layer_weights(network, settings.content_layers, settings.content_weight)
    maps = whole_maps(network, list(shares), content.astype(np.float32), settings.tile)
    # By rows: a copy of the maps of a large image is no small thing.
    squares = {layer: sum(float(np.vdot(row, row)) for row in each[0]) / each.size for layer, each in maps.items()}
    scales = {layer: losses.scale(square) if settings.normalise else 1.0 for layer, square in squares.items()}
    return {layer: (each, shares[layer] * scales[layer]) for layer, each in maps.items()}
