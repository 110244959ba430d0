"""Tasks: records of a model's heads, and what each is trained with; :mod:`.heads` builds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.detection.tasks import DETECTORS, Detector
from lensmith.compose.layers import check_activation, check_widths
from lensmith.compose.overlap import OVERLAPS, OverlapLoss, iou

BoxLoss = Literal["l2", "smooth-l1", "iou", "giou", "diou", "ciou"]
HeadPool = Literal["average", "max", "flatten", "average-last", "given"]
OutputActivation = Literal["softmax", "sigmoid", "linear"]
HEAD_POOLS: tuple[HeadPool, ...] = ("average", "max", "flatten", "average-last", "given")
PixelLoss = Literal["l2", "cross-entropy"]
PIXEL_LOSSES: tuple[PixelLoss, ...] = ("l2", "cross-entropy")
POINT_LOSSES: tuple[BoxLoss, ...] = ("l2", "smooth-l1")
BOX_LOSSES: tuple[BoxLoss, ...] = (*POINT_LOSSES, *OVERLAPS)
CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class Classify:
    """One of several classes: softmax over ``classes`` logits; targets are class indices.

    Args:
        classes: how many; at least 2.
        pool: how feature maps become a vector: global ``average``, global ``max``, ``flatten``, or ``average-last``: a
            1×1 convolution makes a map of each class, and the averages of the activated maps are the logits (Lin et
            al. 2014, Network in Network, Section 3.2; SqueezeNet). It has no hidden layers. With ``given`` the learner
            gives the logits already, as a vector or as maps of one pixel, and the head has no layers with weights.
        hidden: widths of fully connected layers before the logits.
        dropout: share dropped after each hidden layer, or of the pooled vector when there is none; 0..1.
        activation: of the hidden layers, or of the maps.
        weight: of this task's loss among several.
    """

    kind: ClassVar[str] = "class"
    output_activation: ClassVar[OutputActivation] = "softmax"
    loss: ClassVar[str] = "sparse_categorical_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    classes: int
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("classify.classes", self.classes)
        if self.classes == 1:
            # A softmax over one unit is 1 whatever the image: a mistake of several printed listings.
            raise check.SettingError("classify.classes: one class leaves nothing to decide; use Binary() or 2 classes")
        _check_head(self, "classify")

    @property
    def units(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True)
class Binary:
    """Yes or no: a sigmoid over one logit; targets are 0 and 1. Arguments as for :class:`Classify`."""

    kind: ClassVar[str] = "class"
    output_activation: ClassVar[OutputActivation] = "sigmoid"
    loss: ClassVar[str] = "binary_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_head(self, "binary")

    @property
    def units(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class MultiLabel:
    """Any number of ``classes`` at once: a sigmoid over each logit; targets are rows of 0 and 1."""

    kind: ClassVar[str] = "classes"
    output_activation: ClassVar[OutputActivation] = "sigmoid"
    loss: ClassVar[str] = "binary_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    classes: int
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("multi-label.classes", self.classes)
        _check_head(self, "multi-label")

    @property
    def units(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True)
class Regress:
    """``values`` numbers, trained on the squared error. Other arguments as for :class:`Classify`."""

    kind: ClassVar[str] = "number"
    output_activation: ClassVar[OutputActivation] = "linear"
    loss: ClassVar[str] = "mean_squared_error"
    metrics: ClassVar[tuple[str, ...]] = ("mean_absolute_error",)

    values: int = 1
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("regress.values", self.values)
        _check_head(self, "regress")

    @property
    def units(self) -> int:
        return self.values


@dataclass(frozen=True, slots=True)
class Localise:
    """Where the one object of an image is: its box as four numbers, x1, y1, x2, y2, or its key points, x, y of each.

    All are shares of the image, 0..1. Targets are one box an image, or four numbers that are such shares already; or
    key points, as many as ``points``. Other arguments as for :class:`Classify`.

    Args:
        distance: what is trained on: ``l2``, the squared error; ``smooth-l1``, which grows only linearly where a
            number is off by more than a tenth of the image (Girshick 2015, Fast R-CNN, section 2.3); or, for a box,
            one minus ``iou``, ``giou``, ``diou`` or ``ciou``: see :class:`~lensmith.compose.overlap.OverlapLoss`. A
            network then begins with guesses in the middle of the image, which is where most boxes meet them.
        points: how many key points; 0 for a box.
    """

    output_activation: ClassVar[OutputActivation] = "linear"
    bend: ClassVar[float] = 0.1  # where smooth-l1 turns linear

    distance: BoxLoss = "smooth-l1"
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0
    points: int = 0

    def __post_init__(self) -> None:
        check.one_of("localise.distance", self.distance, BOX_LOSSES)
        if self.points != 0 or isinstance(self.points, bool):
            check.positive("localise.points", self.points)
            remedy = "Key points have no area to overlap"
            check.one_of("localise.distance of points", self.distance, POINT_LOSSES, remedy)
        _check_head(self, "localise")

    @property
    def kind(self) -> str:
        """Of the labels."""
        return "points" if self.points else "boxes"

    @property
    def units(self) -> int:
        return 2 * self.points or len(CORNERS)

    @property
    def metrics(self) -> tuple[Any, ...]:
        """Of key points the mean error of a coordinate; of a box its overlap with the true one too."""
        return ("mean_absolute_error",) if self.points else ("mean_absolute_error", iou)

    @property
    def loss(self) -> Any:
        """The Keras loss, by name or made."""
        if self.distance in OVERLAPS:
            return OverlapLoss(self.distance)
        return "mean_squared_error" if self.distance == "l2" else keras.losses.Huber(delta=self.bend)


@dataclass(frozen=True, slots=True)
class Segment:
    """The class of every pixel: softmax over ``classes`` channels, from a 1×1 convolution of the feature maps.

    Targets are masks: whole numbers of shape ``(batch, height, width)``, the size of the learner's feature maps.

    Args:
        classes: how many, the background among them; at least 2.
        weight: of this task's loss among several.
    """

    kind: ClassVar[str] = "mask"
    output_activation: ClassVar[OutputActivation] = "softmax"
    loss: ClassVar[str] = "sparse_categorical_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    classes: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if check.positive("segment.classes", self.classes) == 1:
            raise check.SettingError("segment.classes: one class leaves nothing to decide; count the background too")
        check.between("segment.weight", self.weight, 0.0, 1e6)

    @property
    def units(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True)
class Reconstruct:
    """The input again: what an autoencoder gives. Targets are the preprocessed inputs themselves.

    Feature maps end in a convolution to the input's channels, and are cropped at the edges where strides made them
    a little larger than the input; a row of numbers ends in a fully connected layer, of the input's shape.

    Args:
        distance: what is trained on: ``l2``, the squared error, or ``cross-entropy`` for values 0..1.
        activation: ``sigmoid`` for values 0..1, ``linear`` for others.
        kernel: side of the last convolution's window.
        weight: of this task's loss among several.
    """

    kind: ClassVar[str] = "image"
    metrics: ClassVar[tuple[str, ...]] = ("mean_absolute_error",)

    distance: PixelLoss = "l2"
    activation: Literal["sigmoid", "linear"] = "sigmoid"
    kernel: int = 3
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.one_of("reconstruct.distance", self.distance, PIXEL_LOSSES)
        check.one_of("reconstruct.activation", self.activation, ("sigmoid", "linear"))
        if self.distance == "cross-entropy" and self.activation == "linear":
            raise check.SettingError(
                check.sentence("reconstruct.activation", "sigmoid, since the loss is cross-entropy", "'linear'")
            )
        check.positive("reconstruct.kernel", self.kernel)
        check.between("reconstruct.weight", self.weight, 0.0, 1e6)

    @property
    def output_activation(self) -> OutputActivation:
        return self.activation

    @property
    def loss(self) -> str:
        return "mean_squared_error" if self.distance == "l2" else "binary_crossentropy"

    @property
    def units(self) -> int:
        """0: it has as many outputs as the input has numbers."""
        return 0


Pooled = Classify | Binary | MultiLabel | Regress | Localise  # heads of a vector
Head = Pooled | Segment | Reconstruct  # heads of what the learner gives last; a detector reads its taps
Task = Head | Detector


def takes(task: Task, kind: str, names: int) -> bool:
    """Whether a head can be trained on labels of this kind with so many names."""
    if isinstance(task, Localise) and task.points:
        return kind == "points" and names == task.points
    if isinstance(task, Localise):  # the boxes' classes do not matter
        return kind == "boxes" or (kind == "number" and names == task.units)
    if isinstance(task, DETECTORS):
        return kind == "boxes" and names == task.classes
    return kind == task.kind and names == (2 if isinstance(task, Binary) else task.units)


def _check_head(task: Pooled, place: str) -> None:
    check.one_of(f"{place}.pool", task.pool, HEAD_POOLS)
    object.__setattr__(task, "hidden", check_widths(f"{place}.hidden", task.hidden))
    if task.hidden and task.pool in ("average-last", "given"):
        expected = f"no hidden layers where the pool is {task.pool}"
        raise check.SettingError(check.sentence(f"{place}.hidden", expected, task.hidden))
    check.between(f"{place}.dropout", task.dropout, 0.0, 1.0)
    check_activation(f"{place}.activation", task.activation)
    check.between(f"{place}.weight", task.weight, 0.0, 1e6)
