"""A learner that is a list of layers which may look back at any before them: what a Darknet file describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.compose.layers import Maker, Tensor
from lensmith.compose.learners.layer_graph_joins import Product, Route, Shortcut
from lensmith.compose.learners.layer_graph_plain import (
    Activate,
    AveragePool,
    Crop,
    Dropout,
    MaxPool,
    Passing,
    Reorg,
    Upsample,
)
from lensmith.compose.learners.layer_graph_records import Connected, Convolution, Local, Norm, whole

GraphLayer = (
    Convolution
    | Connected
    | Local
    | Norm
    | Activate
    | MaxPool
    | AveragePool
    | Upsample
    | Route
    | Shortcut
    | Product
    | Reorg
    | Dropout
    | Crop
    | Passing
)
GRAPH_LAYERS: dict[str, type] = {
    "convolution": Convolution,
    "connected": Connected,
    "local": Local,
    "norm": Norm,
    "activate": Activate,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "upsample": Upsample,
    "route": Route,
    "shortcut": Shortcut,
    "product": Product,
    "reorg": Reorg,
    "dropout": Dropout,
    "crop": Crop,
    "passing": Passing,
}


@dataclass(frozen=True, slots=True)
class LayerGraph:
    """Layers by number, from 0: each takes the one before it, or those that it names.

    Args:
        layers: records of :mod:`.layer_graph_records`, :mod:`.layer_graph_plain` and :mod:`.layer_graph_joins`.
        outputs: the places of the layers that tasks read; empty for the last alone.

    >>> graph = LayerGraph((Convolution(8, 3, padding=1), MaxPool(2, 2), Convolution(8, 1), Route((1, 2))))
    >>> graph.layers[3]
    Route(layers=(1, 2), groups=1, group=0)
    """

    layers: tuple[GraphLayer, ...]
    outputs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple) or not self.layers:
            raise check.SettingError(check.sentence("layer-graph.layers", "at least one layer", repr(self.layers)))
        for i, layer in enumerate(self.layers):
            _check_layer(f"layer-graph.layers[{i}]", i, layer)
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "outputs", _outputs(self.outputs, len(self.layers)))

    def build(self, x: Tensor, make: Maker) -> Any:
        """Add the layers.

        Args:
            x: images, ``(batch, height, width, channels)``, or rows where the first layer is a connected one.
            make: makes the layers.

        Returns:
            What the last layer gives; or, where ``outputs`` are named, a dict of them by the names of their layers,
            such as ``learner-layer16``, in their order, the last layer of the graph last.

        Raises:
            SettingError: a layer does not fit what it is called on.
        """
        given: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer.build(x, given, make, layer_name(i))
            given.append(x)
        if not self.outputs:
            return x
        last = len(given) - 1
        named = [place for place in self.outputs if place != last] + [last]
        return {layer_name(place): given[place] for place in named}


def layer_name(place: int) -> str:
    """The name of a layer of the graph, as tasks and taps call it: ``learner-layer16``."""
    return f"learner-layer{place}"


def _check_layer(place: str, number: int, layer: Any) -> None:
    if not isinstance(layer, GraphLayer):
        raise check.SettingError(check.sentence(place, "a record of a layer", repr(layer)))
    named = (
        layer.layers if isinstance(layer, Route) else (layer.source,) if isinstance(layer, Shortcut | Product) else ()
    )
    for other in named:
        if other >= number:
            expected = f"layers before this one, 0 to {number - 1}" if number else "no layer, as none is before it"
            raise check.SettingError(check.sentence(place, expected, other))


def _outputs(places: Any, count: int) -> tuple[int, ...]:
    if not isinstance(places, list | tuple):
        raise check.SettingError(check.sentence("layer-graph.outputs", "a list of places of layers", repr(places)))
    found = tuple(whole("layer-graph.outputs", place, 0) for place in places)
    if any(place >= count for place in found) or len(set(found)) < len(found):
        expected = f"different places of layers, 0 to {count - 1}"
        raise check.SettingError(check.sentence("layer-graph.outputs", expected, found))
    return found
