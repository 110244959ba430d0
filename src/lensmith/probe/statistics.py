"""What layers do over a whole dataset: units that never answer, saturation, sparsity, histograms.

The images come in batches and go: besides the model, memory holds one batch and what its layers give for it, or for a
part of it where that would be more than 512 MiB.

References: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, section 3
(activations by layer, saturation); Glorot, Bordes & Bengio 2011, Deep Sparse Rectifier Neural Networks (sparsity).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.tapping import layer_of, tapped
from lensmith.probe.accumulating import Accumulator, Spread
from lensmith.probe.chains import activation_of, chains
from lensmith.probe.inputs import checked

_MOST = 1 << 29  # bytes of what the layers give at a time, unless one image takes more
NEAR = 0.01  # how close to its end an activation that never reaches it counts as saturated

# The ends of activations that have two, and how near counts.
_ENDS: Mapping[str, tuple[float, float, float]] = {
    "softmax": (0.0, 1.0, NEAR),
    "sigmoid": (0.0, 1.0, NEAR),
    "tanh": (-1.0, 1.0, NEAR),
    "relu6": (0.0, 6.0, 0.0),
    "hard_sigmoid": (0.0, 1.0, 0.0),
    "hard_tanh": (-1.0, 1.0, 0.0),
}
_RECTIFYING = ("relu", "relu6")  # give 0 for whatever is not positive


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """What a layer gave, over all images.

    Args:
        name: the layer or tap; of layers that follow one another as convolution, normalisation and activation, the
            last, and ``layers`` all of them.
        kind: the class of the first of them.
        activation: what they end in, such as ``relu``; ``linear`` where there is none.
        channels: how many channels or units there are.
        spread: moments and histogram of all numbers.
        dead: the channels that were never above 0; None where the activation is not one that gives 0 then.
        constant: the channels that were always the same number, dead ones among them.
        low: the share of numbers at the lower end of an activation that has two ends (within 0.01 for softmax,
            sigmoid and tanh, exactly there for relu6, hard sigmoid and hard tanh); None for others.
        high: the same at the upper end.
    """

    name: str
    layers: tuple[str, ...]
    kind: str
    activation: str
    channels: int
    spread: Spread
    dead: tuple[int, ...] | None
    constant: tuple[int, ...]
    low: float | None
    high: float | None

    @property
    def saturation(self) -> float | None:
        """The share at either end; None where the activation has no two ends."""
        return None if self.low is None or self.high is None else self.low + self.high


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """One weight of a layer: its name there, such as ``kernel``, its shape, and how its numbers are spread."""

    layer: str
    name: str
    shape: tuple[int, ...]
    spread: Spread


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """All of it.

    Args:
        images: how many were seen.
        activations: in the order data passes.
        weights: in the same order.
        notes: what deserves a look, a sentence each: numbers that are not finite, then dead units.
    """

    images: int
    activations: tuple[Activations, ...]
    weights: tuple[Weights, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; what is not known is ``None``."""
        return {
            "images": self.images,
            "activations": [_activations_dict(row) for row in self.activations],
            "weights": [
                {"layer": row.layer, "name": row.name, "shape": list(row.shape)} | row.spread.to_dict()
                for row in self.weights
            ],
            "notes": list(self.notes),
        }


def statistics(model: Any, batches: Iterable[np.ndarray], layers: Iterable[str] | None = None) -> Statistics:
    """Look at what layers give for every image of a dataset, and at the weights.

    Args:
        model: any model made of connected layers.
        batches: what enters it, ``(batch, …)`` each; taken one after the other and not kept.
        layers: taps or names of layers; left out, all that have weights or are activations, where what follows one
            another as convolution, normalisation and activation is looked at once, at its end.

    Raises:
        SettingError: there is no such tap or layer.
        DataError: there are no images, or they are not what the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> images = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
        >>> found = statistics(zoo.get("conv-digits").build(seed=0), [images[:2], images[2:]])
        >>> found.images, found.activations[0].activation, found.activations[0].spread.count
        (4, 'relu', 86528)
    """
    whole = graph.flat(model)
    watched = (
        [_Watched(str(chain[-1].name), chain) for chain in chains(whole)]
        if layers is None
        else [_asked(whole, name) for name in dict.fromkeys(layers)]
    )
    ends = tapped(whole, [each.name for each in watched])
    images = 0
    for batch in batches:
        for part in _parts(ends, checked(whole, batch)):
            outputs = dict(backend.predict(ends, part))
            images += len(next(iter(outputs.values())))
            for each in watched:
                each.add(outputs.pop(each.name))
        del batch, part, outputs  # before the next one is made
    if not images:
        raise check.DataError(check.sentence("batches", "at least one image", "none"))
    rows, weights = tuple(each.row() for each in watched), _weights(whole)
    return Statistics(images, rows, weights, (*_not_finite(rows, weights), *_dead(rows)))


def _parts(ends: Any, batch: Any) -> Iterator[Any]:
    """A batch in parts that are small enough for all that the layers give to be held."""
    if not hasattr(batch, "shape"):  # of several inputs
        yield batch
        return
    shapes = ends.compute_output_shape((1, *batch.shape[1:])).values()
    size = max(_MOST // sum(4 * math.prod(shape) for shape in shapes), 1)
    for start in range(0, len(batch), size):
        yield batch[start : start + size]


@dataclass(slots=True, eq=False)
class _Watched:
    """What is known so far of what a layer gives."""

    name: str
    chain: tuple[Any, ...]  # layers, each called on what the one before it gives
    seen: Accumulator = field(default_factory=Accumulator)
    lowest: np.ndarray | None = None  # by channel
    highest: np.ndarray | None = None
    places: int = 0  # numbers in each channel
    at_low: int = 0
    at_high: int = 0

    def add(self, maps: np.ndarray) -> None:
        self.seen.add(maps)
        rows = np.asarray(maps).reshape(-1, maps.shape[-1])
        low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)  # passing over what is no number
        self.lowest = low if self.lowest is None else np.fmin(self.lowest, low)
        self.highest = high if self.highest is None else np.fmax(self.highest, high)
        self.places += len(rows)
        if (ends := _ENDS.get(activation_of(self.chain[-1]))) is not None:
            self.at_low += int(np.count_nonzero(rows <= np.float32(ends[0] + ends[2])))
            self.at_high += int(np.count_nonzero(rows >= np.float32(ends[1] - ends[2])))

    def row(self) -> Activations:
        activation, none = activation_of(self.chain[-1]), np.zeros(0)
        lowest, highest = (none if each is None else each for each in (self.lowest, self.highest))
        constant = np.flatnonzero(lowest == highest) if self.places > 1 else none
        ended, count = activation in _ENDS, self.places * len(highest)
        return Activations(
            name=self.name,
            layers=tuple(str(layer.name) for layer in self.chain),
            kind=type(self.chain[0]).__name__,
            activation=activation,
            channels=len(highest),
            spread=self.seen.spread(),
            dead=tuple(map(int, np.flatnonzero(highest <= 0))) if activation in _RECTIFYING else None,
            constant=tuple(map(int, constant)),
            low=self.at_low / count if ended else None,
            high=self.at_high / count if ended else None,
        )


def _asked(model: Any, name: str) -> _Watched:
    layer = layer_of(model, name, place="layers")
    return _Watched(name, (next(call.layer for call in graph.calls(model) if call.layer.name == layer),))


def _weights(model: Any) -> tuple[Weights, ...]:
    """Those of every layer once, that hold fractions: the states of random generators do not."""
    rows = []
    for layer in {id(call.layer): call.layer for call in graph.calls(model)}.values():
        for weight in getattr(layer, "weights", ()):
            if "float" not in str(weight.dtype):
                continue
            seen = Accumulator()
            seen.add(np.asarray(keras.ops.convert_to_numpy(weight)))
            rows.append(Weights(str(layer.name), str(weight.name), tuple(weight.shape), seen.spread()))
    return tuple(rows)


def _not_finite(rows: Sequence[Activations], weights: Sequence[Weights]) -> list[str]:
    each = [(row.name, row.spread) for row in rows] + [(f"{row.layer}, {row.name}", row.spread) for row in weights]
    return [
        f"{name}: {spread.nonfinite:,} of {spread.count + spread.nonfinite:,} numbers are not finite (NaN or infinite)"
        for name, spread in each
        if spread.nonfinite
    ]


def _dead(rows: Sequence[Activations]) -> list[str]:
    return [f"{row.name}: {len(row.dead)} of {row.channels} channels are never above 0" for row in rows if row.dead]


def _activations_dict(row: Activations) -> dict[str, Any]:
    names = ("name", "kind", "activation", "channels", "low", "high", "saturation")
    listed: dict[str, Callable[[Activations], Any]] = {
        "layers": lambda row: list(row.layers),
        "dead": lambda row: None if row.dead is None else list(row.dead),
        "constant": lambda row: list(row.constant),
    }
    found = {name: getattr(row, name) for name in names} | {name: of(row) for name, of in listed.items()}
    return found | row.spread.to_dict()
