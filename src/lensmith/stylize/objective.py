"""The loss of a painting, and its derivative by the pixels.

References:
    Gatys, Ecker and Bethge 2016, Image Style Transfer Using Convolutional Neural Networks.
    Gatys et al. 2017, Controlling Perceptual Factors in Neural Style Transfer (section 4, for regions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.stylize import losses, masks
from lensmith.stylize.goals import Goals, StyleGoal, content_goals, style_goals
from lensmith.stylize.settings import Settings, check_counts
from lensmith.stylize.sweep import Held, Sweep, Tensor, maps_of
from lensmith.stylize.tiles import Network, tapped, tiling


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The loss of pixels, as tensors of the backend.

    Args:
        loss: a float32 scalar.
        terms: its parts ``content``, ``style`` and ``variation``, weighted: they sum to it.
        gradient: of the loss by the pixels, in their shape.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    gradient: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """What a painting is optimised for.

    Args:
        run: see :meth:`evaluate`.
        tiles: in how many parts the image is computed; the result does not depend on it.
    """

    run: Callable[[Tensor], Evaluated]
    tiles: int

    def evaluate(self, pixels: Tensor) -> Evaluated:
        """The loss of pixels and its derivative by them.

        Args:
            pixels: a float32 array or tensor ``(1, height, width, 3)``, 0..1, of the content's size.
        """
        return self.run(pixels)


def objective(
    network: Network,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    settings: Settings,
    *,
    blend: Sequence[float] = (),
    regions: Sequence[np.ndarray] = (),
) -> Objective:
    """The loss of style transfer for a content and one or several styles.

    Features of a layer are divided by their root mean square on the image that they are compared with, so that
    weights mean the same in every layer of every network (``settings.normalise``); where they are all zero on it, by
    nothing. A term that weighs 0 is not computed, and neither are the layers that nothing else needs. Names for which
    the network uses one and the same layer, as where weights end early, count once, with the largest of their weights.

    Args:
        network: see :mod:`lensmith.stylize.network`; asked for the settings' layers.
        content: float32 ``(h, w, 3)``, 0..1, at the size of the painting.
        styles: float32 ``(h', w', 3)``, 0..1, each of any size.
        settings: weights, layers and the side of tiles.
        blend: what each style counts, at least 0; divided by their sum. Left out: all the same.
        regions: for each style the mask, float32 ``(h, w)``, 0..1, inside which the painting shall have it. Left out:
            each style counts everywhere. The content counts everywhere in any case.

    Returns:
        The objective. An image larger than ``settings.tile`` is computed in tiles, with the same result.

    Raises:
        SettingError: there is no such layer, or it sees all of an image that has to be computed in tiles; or there
            are not as many weights or masks as styles.
        DataError: an image or a mask has a wrong shape, or a mask is all black.
    """
    size = _checked_images(content, styles)
    check_counts(len(styles), blend, len(regions))
    _checked_masks(regions, size)
    shares = _blended(blend, len(styles))
    style, weights = style_goals(network, styles, settings, shares, size, regions)
    like = content_goals(network, content, settings)
    goals = Goals(style, weights, bool(len(regions)), like, settings.variation_weight)
    return _tiled(network, goals, size, settings.tile) if max(size) > settings.tile else _whole(network, goals, size)


# --- the loss ------------------------------------------------------------------------------------------------------


def _whole(network: Network, goals: Goals, size: tuple[int, int]) -> Objective:
    """In one piece: the network's forward and backward pass, compiled as one function."""
    models = [tapped(network, goals.layers, size)] if goals.layers else []
    held = Held(
        {("gram", i): goal.gram for i, goal in enumerate(goals.style)}
        | {("content", layer): maps for layer, (maps, _) in goals.content.items()}
        | {("weights", layer): weights for layer, weights in goals.weights.items() if goals.guided}
    )
    weights = {layer: weight for layer, (_, weight) in goals.content.items()}
    goals = replace(goals, content={}, weights={})  # held once, and not once more by the function below

    def loss(pixels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        maps = maps_of(network, models[0], pixels) if models else {}
        places = dict.fromkeys((goal.layer, goal.index) for goal in goals.style)
        grams = {
            (layer, index): losses.products(maps[layer], held["weights", layer][index])
            if goals.guided
            else losses.gram(maps[layer])
            for layer, index in places
        }
        style = _style_loss(goals.style, grams, [held["gram", i] for i in range(len(goals.style))])
        content = keras.ops.zeros((), "float32")
        for layer, weight in weights.items():
            content = content + weight * losses.content_loss(maps[layer], held["content", layer])
        return _total(content, style, _variation(goals, pixels))

    run = differentiated(loss, *models, held)
    return Objective(lambda pixels: Evaluated(*run(pixels)), 1)


def _tiled(network: Network, goals: Goals, size: tuple[int, int], tile: int) -> Objective:
    """In tiles: first the sums over all of them, then the derivative of what the loss makes of these."""
    if not goals.layers:
        return _whole(network, goals, size)
    cut = tiling(network, goals.layers, size, tile)
    if len(cut.tiles) == 1:  # what the layers see around a core is the whole image
        return _whole(network, goals, size)
    content = {layer: (maps, weight / maps.size) for layer, (maps, weight) in goals.content.items()}
    sweep = Sweep(network, cut, goals.weights, content)
    targets = [keras.ops.convert_to_tensor(goal.gram) for goal in goals.style]
    smoothness = differentiated(lambda pixels: (_variation(goals, pixels), ()))

    def run(pixels: Tensor) -> Evaluated:
        pixels = keras.ops.convert_to_tensor(pixels, dtype="float32")
        grams, content = sweep.sums(pixels)
        style = _style_loss(
            goals.style, {(goal.layer, goal.index): grams[goal.layer][goal.index] for goal in goals.style}, targets
        )
        variation, _, gradient = smoothness(pixels)
        loss, terms = _total(content, style, variation)
        gradient = gradient + sweep.gradient(pixels, _slopes(goals.style, grams, targets))
        return Evaluated(loss, terms, gradient)

    return Objective(run, len(cut.tiles))


def _style_loss(goals: Sequence[StyleGoal], grams: Mapping[tuple[str, int], Tensor], targets: list[Tensor]) -> Tensor:
    loss = keras.ops.zeros((), "float32")
    for goal, target in zip(goals, targets, strict=True):
        found = grams[goal.layer, goal.index] * goal.scale
        loss = loss + goal.weight * losses.style_loss(found, target)
    return loss


def _slopes(goals: Sequence[StyleGoal], grams: Mapping[str, Tensor], targets: list[Tensor]) -> dict[str, Tensor]:
    """The derivative of the style's loss by the Gram matrices of each layer, ``(matrices, c, c)``."""
    found = {layer: [keras.ops.zeros_like(gram[0])] * gram.shape[0] for layer, gram in grams.items()}
    for goal, target in zip(goals, targets, strict=True):
        away = grams[goal.layer][goal.index] * goal.scale - target
        slope = away * (goal.weight * goal.scale / (2 * away.shape[-1] ** 2))
        found[goal.layer][goal.index] = found[goal.layer][goal.index] + slope
    return {layer: keras.ops.stack(each) for layer, each in found.items()}


def _variation(goals: Goals, pixels: Tensor) -> Tensor:
    return goals.variation * losses.variation(pixels) if goals.variation else keras.ops.zeros((), "float32")


def _total(content: Tensor, style: Tensor, variation: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    return content + style + variation, {"content": content, "style": style, "variation": variation}


# --- what is refused -----------------------------------------------------------------------------------------------


def _checked_images(content: np.ndarray, styles: Sequence[np.ndarray]) -> tuple[int, int]:
    named = {"content": content} | {f"style {i + 1}": style for i, style in enumerate(styles)}
    for place, image in named.items():
        if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
            raise check.DataError(check.sentence(place, "an array (height, width, 3)", image.shape))
        if image.dtype.kind != "f" or not np.isfinite(image).all():
            raise check.DataError(check.sentence(place, "finite floating-point numbers", f"{image.dtype} with others"))
    return content.shape[0], content.shape[1]


def _checked_masks(regions: Sequence[np.ndarray], size: tuple[int, int]) -> None:
    for i, region in enumerate(regions):
        masks.check_size(region, size, f"region {i + 1}")
        if not region.max() > 0:
            raise check.DataError(check.sentence(f"region {i + 1}", "a mask with something white", "one that is black"))


def _blended(blend: Sequence[float], count: int) -> list[float]:
    """The weights of the styles, summing to 1."""
    given = blend if len(blend) else [1.0] * count
    return [weight / sum(given) for weight in given]
