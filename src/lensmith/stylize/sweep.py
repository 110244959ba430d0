"""Sums over the feature maps of an image, and their derivative, with the maps of one tile in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lensmith import backend
from lensmith.backend import keras
from lensmith.backend.derivative import call, differentiated
from lensmith.stylize import losses
from lensmith.stylize.tiles import Network, Span, Tiling, tiling

Tensor = Any  # of the backend in use


class Held:
    """Arrays that a compiled function reads, and that can change without its being compiled again.

    Args:
        arrays: float32, by name; later ones have the same shapes.
    """

    def __init__(self, arrays: Mapping[Any, Any]) -> None:
        self._variables = {
            key: keras.Variable(array, trainable=False, dtype="float32") for key, array in arrays.items()
        }

    @property
    def variables(self) -> list[Any]:
        """As a model has them, for :func:`lensmith.backend.derivative.differentiated`."""
        return list(self._variables.values())

    def __getitem__(self, key: Any) -> Tensor:
        return self._variables[key].value

    def assign(self, key: Any, array: Any) -> None:
        """Another array in its place."""
        self._variables[key].assign(array)


def whole_maps(network: Network, layers: Sequence[str], pixels: np.ndarray, tile: int) -> dict[str, np.ndarray]:
    """Feature maps of a whole image, computed in tiles.

    Args:
        network: see :mod:`lensmith.stylize.network`.
        layers: by the names that the network was asked for.
        pixels: float32 ``(height, width, 3)``, 0..1.
        tile: see :func:`tiling`.

    Returns:
        float32 ``(1, height', width', channels)`` by layer.
    """
    if not layers:
        return {}
    cut = tiling(network, layers, (pixels.shape[0], pixels.shape[1]), tile)
    shapes = {name: (1, *grid.whole, cut.model.output[name].shape[-1]) for name, grid in cut.grids.items()}
    found = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for part in cut.tiles:
        maps = backend.predict(cut.model, network.prepare(keras.ops.convert_to_tensor(pixels[cut.pixels(part)][None])))
        for name, target in found.items():
            core, place = cut.core(part, name), cut.positions(part, name)
            rows, columns = (slice(p.start + c.start, p.start + c.stop) for p, c in zip(place, core, strict=True))
            target[:, rows, columns] = np.asarray(maps[name], np.float32)[:, core[0], core[1]]
    return found


class Sweep:
    """Gram matrices and the distance to a content over all tiles of an image, and their derivative by the pixels.

    Only one tile's maps are in memory at a time; masks and the content's maps lie on the host as arrays.

    Args:
        network: see :mod:`lensmith.stylize.network`.
        cut: for the layers of both.
        style: by layer, how much each position counts in each Gram matrix: float32 ``(matrices, h, w)``, of the
            whole image's maps.
        content: by layer, the maps to come near to, float32 ``(1, h, w, c)``, and the weight of a squared difference.
    """

    def __init__(
        self,
        network: Network,
        cut: Tiling,
        style: Mapping[str, np.ndarray],
        content: Mapping[str, tuple[np.ndarray, float]],
    ) -> None:
        self._network, self._cut, self._style, self._content = network, cut, dict(style), dict(content)
        channels = {layer: cut.model.output[layer].shape[-1] for layer in cut.grids}
        arrays: dict[Any, np.ndarray] = {}
        for layer, weights in self._style.items():
            arrays["style", layer] = np.zeros((len(weights), *cut.grids[layer].tile), np.float32)
            arrays["slope", layer] = np.zeros((len(weights), channels[layer], channels[layer]), np.float32)
        for layer in self._content:
            arrays["core", layer] = np.zeros((*cut.grids[layer].tile, 1), np.float32)
            arrays["content", layer] = np.zeros((1, *cut.grids[layer].tile, channels[layer]), np.float32)
        self._held = Held(arrays)
        self._forward = differentiated(self._sums, cut.model, self._held)
        self._backward = differentiated(self._surrogate, cut.model, self._held)

    def sums(self, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The Gram matrices by layer, ``(matrices, c, c)``, and the content's loss, of pixels ``(1, h, w, 3)``."""
        parts = [self._forward(self._moved_to(tile, pixels))[1] for tile in self._cut.tiles]
        return {layer: sum(grams[layer] for grams, _ in parts) for layer in self._style}, sum(loss for _, loss in parts)

    def gradient(self, pixels: Tensor, slopes: Mapping[str, Tensor]) -> Tensor:
        """The derivative by the pixels of the loss of which these are the derivatives by the Gram matrices.

        The content's loss is in it. By the chain rule it is that of ``Σ <slope, Gram matrix>``, and this is a sum
        over the tiles.

        Args:
            pixels: ``(1, h, w, 3)``.
            slopes: by layer, ``(matrices, c, c)``.
        """
        for layer, slope in slopes.items():
            self._held.assign(("slope", layer), slope)
        ops = keras.ops
        whole = ops.zeros_like(pixels)
        for tile in self._cut.tiles:
            found = self._backward(self._moved_to(tile, pixels))[2]
            rows, columns = self._cut.pixels(tile)
            start = (0, rows.start, columns.start, 0)
            whole = ops.slice_update(whole, start, whole[:, rows, columns] + found)
        return whole

    def _moved_to(self, tile: tuple[Span, Span], pixels: Tensor) -> Tensor:
        """Hold what belongs to a tile; gives its pixels."""
        for layer, weights in self._style.items():
            rows, columns = self._cut.positions(tile, layer)
            self._held.assign(("style", layer), weights[:, rows, columns] * self._core(tile, layer))
        for layer, (maps, _) in self._content.items():
            rows, columns = self._cut.positions(tile, layer)
            self._held.assign(("content", layer), maps[:, rows, columns])
            self._held.assign(("core", layer), self._core(tile, layer)[..., None])
        rows, columns = self._cut.pixels(tile)
        return pixels[:, rows, columns]

    def _core(self, tile: tuple[Span, Span], layer: str) -> np.ndarray:
        inside = np.zeros(self._cut.grids[layer].tile, np.float32)
        inside[self._cut.core(tile, layer)] = 1
        return inside

    def _parts(self, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        ops, held = keras.ops, self._held
        maps = maps_of(self._network, self._cut.model, pixels)
        loss = ops.zeros((), "float32")
        for layer, (_, weight) in self._content.items():
            away = ops.multiply(maps[layer] - held["content", layer], held["core", layer])
            loss = loss + weight * ops.sum(ops.square(away))
        grams = {
            layer: ops.stack([losses.products(maps[layer], held["style", layer][i]) for i in range(len(weights))])
            for layer, weights in self._style.items()
        }
        return grams, loss

    def _sums(self, pixels: Tensor) -> tuple[Tensor, Any]:
        return keras.ops.zeros((), "float32"), self._parts(keras.ops.stop_gradient(pixels))

    def _surrogate(self, pixels: Tensor) -> tuple[Tensor, Any]:
        grams, loss = self._parts(pixels)
        for layer, found in grams.items():
            loss = loss + keras.ops.sum(keras.ops.multiply(self._held["slope", layer], found))
        return loss, ()


def maps_of(network: Network, model: Any, pixels: Tensor) -> dict[str, Tensor]:
    """The float32 maps that a model gives for pixels ``(1, h, w, 3)``, 0..1, by layer; can be differentiated."""
    maps = call(model, network.prepare(pixels))
    return {layer: keras.ops.cast(each, "float32") for layer, each in maps.items()}
