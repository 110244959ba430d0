"""The layers of a layer graph that have no weights and take one input: see :mod:`.layer_graph_records`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lensmith import check
from lensmith.compose.layers import Maker, Tensor, check_flag, check_image, check_window
from lensmith.compose.learners.layer_graph_layers import DarknetReorg, LowestPadding
from lensmith.compose.learners.layer_graph_records import activated, check_graph_activation, whole

PASSED: tuple[str, ...] = ("yolo", "region", "detection", "softmax", "cost")


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation by itself: ``-activation``.

    Args:
        activation: one of ``GRAPH_ACTIVATIONS``.
    """

    activation: str = "linear"

    def __post_init__(self) -> None:
        check_graph_activation("activate", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        return activated(x, make, f"{name}-activation", self.activation)


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The largest number of each window: ``-pool``.

    The result has ``(size of the input + padding − size) // stride + 1`` rows and columns; ``padding // 2`` of the
    padding lies above and to the left. What lies beside the image never counts.

    Args:
        size: side of the window.
        stride: from one window to the next.
        padding: of both sides together; None is ``size − 1``.
    """

    size: int
    stride: int = 1
    padding: int | None = None

    def __post_init__(self) -> None:
        check.positive("max-pool.size", self.size)
        check.positive("max-pool.stride", self.stride)
        if self.padding is not None and whole("max-pool.padding", self.padding, 0) >= 2 * self.size:
            expected = f"less than {2 * self.size}, so that each window meets the image"
            raise check.SettingError(check.sentence("max-pool.padding", expected, self.padding))

    @property
    def total(self) -> int:
        """The padding of both sides together."""
        return self.size - 1 if self.padding is None else self.padding

    def length(self, size: int) -> int:
        """The rows or columns that come out for so many that come in."""
        return (size + self.total - self.size) // self.stride + 1

    def margins(self, size: int) -> tuple[int, int]:
        """The pixels before and after an axis that its windows reach over; negative where they do not reach its end."""
        first = self.total // 2
        return first, (self.length(size) - 1) * self.stride + self.size - size - first

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        sides = tuple(x.shape[1:3])
        both = [self.margins(size) for size in sides]
        if all(pair == self._same(size) for pair, size in zip(both, sides, strict=True)):
            return make.layers.MaxPooling2D(self.size, strides=self.stride, padding="same", name=f"{name}-pool")(x)
        padding = tuple((first, max(last, 0)) for first, last in both)
        if any(map(any, padding)):
            x = LowestPadding(padding, name=f"{name}-pad")(x)
        check_window(name, x, self.size)
        return make.layers.MaxPooling2D(self.size, strides=self.stride, padding="valid", name=f"{name}-pool")(x)

    def _same(self, size: int) -> tuple[int, int] | None:
        """What Keras' own padding is, where it gives as many windows."""
        length = -(-size // self.stride)
        total = max((length - 1) * self.stride + self.size - size, 0)
        return (total // 2, total - total // 2) if length == self.length(size) else None


@dataclass(frozen=True, slots=True)
class AveragePool:
    """The mean of each channel, as feature maps of one pixel: ``-pool``."""

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        return make.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-pool")(x)


@dataclass(frozen=True, slots=True)
class Upsample:
    """Every pixel repeated: ``-upsample``.

    Args:
        stride: how many times larger the result is.
        scale: what it is multiplied by (``-scale``).
    """

    stride: int = 2
    scale: float = 1.0

    def __post_init__(self) -> None:
        check.positive("upsample.stride", self.stride)
        check.between("upsample.scale", self.scale, -1e6, 1e6)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        x = make.layers.UpSampling2D(self.stride, name=f"{name}-upsample")(x)
        return x if self.scale == 1 else make.layers.Rescaling(float(self.scale), name=f"{name}-scale")(x)


@dataclass(frozen=True, slots=True)
class Reorg:
    """Fewer pixels and more channels, in Darknet's order: ``-reorg``; see :class:`.layer_graph_layers.DarknetReorg`.

    Args:
        stride: how many times smaller the feature maps become.
    """

    stride: int = 2

    def __post_init__(self) -> None:
        check.positive("reorg.stride", self.stride)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        layer = DarknetReorg(self.stride, name=f"{name}-reorg")
        layer.compute_output_shape(tuple(x.shape))  # refuses here in one line, which Keras would make several of
        return layer(x)


@dataclass(frozen=True, slots=True)
class Dropout:
    """Dropout: ``-dropout``.

    Args:
        rate: the share that is dropped in training, 0..1.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        check.between("dropout.rate", self.rate, 0.0, 1.0)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        return make.dropout(x, f"{name}-dropout", float(self.rate))


@dataclass(frozen=True, slots=True)
class Crop:
    """The middle of an image: ``-crop``; its pixels 0..1 become −1..1 (``-scale``), as Darknet has it.

    Darknet crops at random and mirrors in training; here that is the augmentation's matter.

    Args:
        height, width: of what is left.
        adjust: whether the range of the pixels is changed.
    """

    height: int
    width: int
    adjust: bool = True

    def __post_init__(self) -> None:
        check.positive("crop.height", self.height)
        check.positive("crop.width", self.width)
        check_flag("crop.adjust", self.adjust)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        check_window(name, x, (self.height, self.width))
        extra = [size - left for size, left in zip(x.shape[1:3], (self.height, self.width), strict=True)]
        if any(extra):
            both = tuple((count // 2, count - count // 2) for count in extra)
            x = make.layers.Cropping2D(both, name=f"{name}-crop")(x)
        return make.layers.Rescaling(2.0, -1.0, name=f"{name}-scale")(x) if self.adjust else x


@dataclass(frozen=True, slots=True)
class Passing:
    """A place in the numbering that changes nothing: where a task of the recipe does what the layer did.

    Args:
        kind: what stood there: one of ``PASSED``.
        scale: what the numbers are multiplied by (``-scale``): 1 / temperature of a softmax.
    """

    kinds: ClassVar[tuple[str, ...]] = PASSED

    kind: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        check.one_of("passing.kind", self.kind, PASSED)
        check.between("passing.scale", self.scale, 1e-6, 1e6)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        return x if self.scale == 1 else make.layers.Rescaling(float(self.scale), name=f"{name}-scale")(x)
