"""The layers of a layer graph that look back at others: see :mod:`.layer_graph_records`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lensmith import check
from lensmith.compose.layers import Maker, Tensor, check_image
from lensmith.compose.learners.layer_graph_layers import Channels
from lensmith.compose.learners.layer_graph_records import activated, check_graph_activation, whole


@dataclass(frozen=True, slots=True)
class Route:
    """What other layers gave, their channels beside each other: ``-concat``; a single one is passed on.

    Args:
        layers: their places in the graph, from 0.
        groups: into how many the channels of each are divided.
        group: which of the groups is taken (``-channels1``, …).
    """

    layers: tuple[int, ...]
    groups: int = 1
    group: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.layers, list | tuple) or not self.layers:
            raise check.SettingError(check.sentence("route.layers", "at least one layer", repr(self.layers)))
        object.__setattr__(self, "layers", tuple(whole("route.layers", place, 0) for place in self.layers))
        check.positive("route.groups", self.groups)
        check.between("route.group", whole("route.group", self.group, 0), 0, self.groups - 1)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        taken = [before[place] for place in self.layers]
        for tensor in taken:
            check_image(name, tensor)
        if self.groups > 1:
            taken = [self._part(tensor, f"{name}-channels{i}") for i, tensor in enumerate(taken, start=1)]
        return make.concatenate(taken, f"{name}-concat")

    def _part(self, x: Tensor, name: str) -> Tensor:
        count, rest = divmod(x.shape[-1], self.groups)
        if rest:
            raise check.SettingError(check.sentence(name, f"channels that {self.groups} divides", x.shape[-1]))
        return Channels(self.group * count, count, name=name)(x)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The sum of what came in and what another layer gave: ``-add``, ``-activation``.

    The result has the sizes of what came in. Where the other has more channels, those beyond are left out, where it
    has fewer, the rest stay as they are; where it is larger, every so many pixels of it count (``-channels``).

    Args:
        source: the place of the other layer, from 0.
        activation: one of ``GRAPH_ACTIVATIONS``.
    """

    source: int
    activation: str = "linear"

    def __post_init__(self) -> None:
        whole("shortcut.source", self.source, 0)
        check_graph_activation("shortcut", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        other = before[self.source]
        if tuple(other.shape) != tuple(x.shape):
            other = _fitted(other, tuple(x.shape[1:]), f"{name}-channels")
        return activated(make.add([x, other], f"{name}-add"), make, f"{name}-activation", self.activation)


@dataclass(frozen=True, slots=True)
class Product:
    """The product of what came in and what another layer gave: ``-multiply``, ``-activation``.

    The result has the sizes of the other: what came in may have one pixel, a factor for each channel (Hu et al. 2018,
    Squeeze-and-Excitation Networks), or one channel, a factor for each pixel; or the sizes of the other (Bochkovskiy
    et al. 2020, YOLOv4, section 3.4, SAM).

    Args:
        source: the place of the other layer, from 0.
        activation: one of ``GRAPH_ACTIVATIONS``.
    """

    source: int
    activation: str = "linear"

    def __post_init__(self) -> None:
        whole("product.source", self.source, 0)
        check_graph_activation("product", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        other = before[self.source]
        own, wanted = tuple(x.shape[1:]), tuple(other.shape[1:])
        if own not in (wanted, (1, 1, wanted[-1]), (*wanted[:-1], 1)):
            expected = f"{written(wanted)}, or such maps of one pixel or one channel"
            raise check.SettingError(check.sentence(name, expected, written(own)))
        x = make.layers.Multiply(name=f"{name}-multiply")([other, x])
        return activated(x, make, f"{name}-activation", self.activation)


def _fitted(other: Tensor, wanted: tuple[int, ...], name: str) -> Tensor:
    """Feature maps with as many channels and pixels as others."""
    own = tuple(other.shape[1:])
    # As Darknet's shortcut_cpu: one step for both axes, the larger divided by the smaller.
    step = own[0] // wanted[0] if len(own) == len(wanted) == 3 else 0
    if step < 1 or any(-(-size // step) != target for size, target in zip(own[:2], wanted[:2], strict=True)):
        expected = f"feature maps of {wanted[0]}×{wanted[1]}, or so many times larger" if len(wanted) == 3 else wanted
        raise check.SettingError(check.sentence(name, str(expected), written(own)))
    return Channels(0, wanted[2], step, name=name)(other)


def written(shape: Sequence[int]) -> str:
    """A shape as people write it."""
    return "×".join(map(str, shape))
