"""The records of detectors.

Anchors are given in pixels of the network's input, small ones first. Where a record has none yet, ``lensmith train``
fits them to the boxes of the training part; :func:`lensmith.detect.fit_anchors` does it by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lensmith import check
from lensmith.boxes import Thresholds
from lensmith.compose.layers import check_flag, check_widths

Anchors = tuple[tuple[float, float], ...]
USUAL = Thresholds()


@dataclass(frozen=True, slots=True)
class YoloV1:
    """S × S cells, each with B boxes and one set of class probabilities (Redmon et al. 2016, You Only Look Once).

    A fully connected layer gives S · S · (C + 5 B) numbers: 7 · 7 · (20 + 2 · 5) = 1,470 in the paper.

    Args:
        classes: C, at least 1.
        grid: S.
        boxes: B.
        sqrt: whether the square roots of width and height are learnt (section 2.2).
        softmax: whether the classes' numbers go through a softmax; the paper's are probabilities as they are.
        hidden: widths of fully connected layers before the last one; 4,096 in the paper.
        dropout: share dropped after each of them, 0..1; 0.5 in the paper.
        given: the learner's output is those numbers already, in Darknet's order: the classes of all cells, then all
            confidences, then all boxes.
        thresholds: what counts as found.
        weight: of this task's loss among several.
    """

    kind: ClassVar[str] = "boxes"
    output_activation: ClassVar[str] = "linear"
    metrics: ClassVar[tuple[Any, ...]] = ()

    classes: int
    grid: int = 7
    boxes: int = 2
    sqrt: bool = True
    softmax: bool = False
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    given: bool = False
    thresholds: Thresholds = USUAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("yolo-v1.grid", self.grid)
        check.positive("yolo-v1.boxes", self.boxes)
        for name in ("sqrt", "softmax", "given"):
            check_flag(f"yolo-v1.{name}", getattr(self, name))
        object.__setattr__(self, "hidden", check_widths("yolo-v1.hidden", self.hidden))
        check.between("yolo-v1.dropout", self.dropout, 0.0, 1.0)
        _check_detector(self, "yolo-v1")

    @property
    def units(self) -> int:
        """Numbers a candidate."""
        return 5 + self.classes


@dataclass(frozen=True, slots=True)
class YoloV2:
    """Boxes relative to anchors, on one map with a pass-through from a finer one (Redmon & Farhadi 2017, YOLO9000).

    Args:
        classes: how many, at least 1; they exclude each other.
        anchors: width and height of each in pixels of the input, five in the paper; none: to be fitted.
        tap: the feature maps that are read, 32 times smaller than the image in the paper.
        passthrough: finer feature maps, whose pixels are laid beside them as channels (section 2); None for none.
        width: filters of the head's convolutions.
        thresholds, weight: as of :class:`YoloV1`.
    """

    kind: ClassVar[str] = "boxes"
    output_activation: ClassVar[str] = "linear"
    metrics: ClassVar[tuple[Any, ...]] = ()
    softmax: ClassVar[bool] = True
    count: ClassVar[int] = 5  # of the anchors, where they are fitted

    classes: int
    anchors: Anchors = ()
    tap: str = "P5"
    passthrough: str | None = "P4"
    width: int = 1024
    thresholds: Thresholds = USUAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchors", check_anchors("yolo-v2.anchors", self.anchors, 1))
        check.positive("yolo-v2.width", self.width)
        _check_detector(self, "yolo-v2")

    @property
    def units(self) -> int:
        """Numbers a candidate."""
        return 5 + self.classes

    @property
    def taps(self) -> tuple[str, ...]:
        """The maps it gives boxes for."""
        return (self.tap,)


@dataclass(frozen=True, slots=True)
class YoloV3:
    """Three scales with three anchors each, the coarser joined to the finer (Redmon & Farhadi 2018, YOLOv3).

    Args:
        classes: how many, at least 1; independent of each other (section 2.2).
        anchors: width and height of each in pixels of the input, small ones first, the same number for each tap; none:
            to be fitted, three a tap.
        taps: the feature maps that are read, the coarsest first. Each is half as large as the next.
        width: filters of the 1×1 convolutions at the coarsest scale; they halve from scale to scale.
        thresholds, weight: as of :class:`YoloV1`.
    """

    kind: ClassVar[str] = "boxes"
    output_activation: ClassVar[str] = "linear"
    metrics: ClassVar[tuple[Any, ...]] = ()
    softmax: ClassVar[bool] = False
    convolutions: ClassVar[int] = 6  # of each scale, the one before the output included

    classes: int
    anchors: Anchors = ()
    taps: tuple[str, ...] = ("P5", "P4", "P3")
    width: int = 512
    thresholds: Thresholds = USUAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_scales(self, "yolo-v3")

    @property
    def units(self) -> int:
        """Numbers a candidate."""
        return 5 + self.classes

    @property
    def count(self) -> int:
        """Of the anchors, where they are fitted."""
        return 3 * len(self.taps)


@dataclass(frozen=True, slots=True)
class YoloV3Tiny:
    """The small form of YOLO v3: two scales and few convolutions.

    As in ``yolov3-tiny.cfg``, but for one more convolution of 1×1 after the finer maps are joined, which makes the
    3×3 one behind it cheaper.

    Arguments as of :class:`YoloV3`.
    """

    kind: ClassVar[str] = "boxes"
    output_activation: ClassVar[str] = "linear"
    metrics: ClassVar[tuple[Any, ...]] = ()
    softmax: ClassVar[bool] = False
    convolutions: ClassVar[int] = 2

    classes: int
    anchors: Anchors = ()
    taps: tuple[str, ...] = ("P5", "P4")
    width: int = 256
    thresholds: Thresholds = USUAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_scales(self, "yolo-v3-tiny")

    @property
    def units(self) -> int:
        """Numbers a candidate."""
        return 5 + self.classes

    @property
    def count(self) -> int:
        """Of the anchors, where they are fitted."""
        return 3 * len(self.taps)


@dataclass(frozen=True, slots=True)
class YoloOutput:
    """Feature maps that hold the raw numbers of candidate boxes.

    Args:
        tap: ``P4``, the name of a layer, or of a part such as ``learner-layer16``. They have ``anchors · (5 + C)``
            channels, those of an anchor together: tx, ty, tw, th, to and the classes.
        anchors: width and height of each in pixels of the network's input.
        scale_xy: see :class:`.candidates.Grid`.
    """

    tap: str
    anchors: Anchors
    scale_xy: float = 1.0

    def __post_init__(self) -> None:
        anchors = check_anchors("yolo-output.anchors", self.anchors, 1)
        if not anchors:
            raise check.SettingError(check.sentence("yolo-output.anchors", "at least one", "none"))
        object.__setattr__(self, "anchors", anchors)
        check.between("yolo-output.scale_xy", self.scale_xy, 1.0, 4.0)


@dataclass(frozen=True, slots=True)
class YoloMaps:
    """Candidate boxes from feature maps as they are: what the file of a network from elsewhere becomes.

    Args:
        classes: how many, at least 1.
        outputs: the maps, in the order of the candidates.
        softmax: whether the classes exclude each other, as in YOLO v2.
        thresholds, weight: as of :class:`YoloV1`.
    """

    kind: ClassVar[str] = "boxes"
    output_activation: ClassVar[str] = "linear"
    metrics: ClassVar[tuple[Any, ...]] = ()

    classes: int
    outputs: tuple[YoloOutput, ...]
    softmax: bool = False
    thresholds: Thresholds = USUAL
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", tuple(self.outputs))
        if not self.outputs or not all(isinstance(one, YoloOutput) for one in self.outputs):
            raise check.SettingError(check.sentence("yolo-maps.outputs", "at least one YoloOutput", self.outputs))
        check_flag("yolo-maps.softmax", self.softmax)
        _check_detector(self, "yolo-maps")

    @property
    def units(self) -> int:
        """Numbers a candidate."""
        return 5 + self.classes


Detector = YoloV1 | YoloV2 | YoloV3 | YoloV3Tiny | YoloMaps
DETECTORS = (YoloV1, YoloV2, YoloV3, YoloV3Tiny, YoloMaps)


def check_anchors(place: str, anchors: Any, parts: int) -> Anchors:
    """Anchors as a tuple of pairs, if they are positive and so many parts share them evenly; none is welcome."""
    pairs = tuple(tuple(pair) if isinstance(pair, list | tuple) else pair for pair in anchors)
    fine = all(isinstance(pair, tuple) and len(pair) == 2 and all(_positive(side) for side in pair) for pair in pairs)
    if not fine or len(pairs) % parts:
        expected = "pairs of width and height above 0" + f", {parts} times as many" * (parts > 1 and fine)
        raise check.SettingError(check.sentence(place, expected, repr(anchors)[:80]))
    return tuple((float(width), float(height)) for width, height in pairs)


def _positive(side: Any) -> bool:
    return isinstance(side, int | float) and not isinstance(side, bool) and 0 < side < float("inf")


def _check_scales(task: YoloV3 | YoloV3Tiny, place: str) -> None:
    if not isinstance(task.taps, list | tuple) or not task.taps or len(set(task.taps)) < len(task.taps):
        expected = "names of feature maps, the coarsest first, each once"
        raise check.SettingError(check.sentence(f"{place}.taps", expected, repr(task.taps)))
    object.__setattr__(task, "taps", tuple(task.taps))
    object.__setattr__(task, "anchors", check_anchors(f"{place}.anchors", task.anchors, len(task.taps)))
    check.positive(f"{place}.width", task.width)
    _check_detector(task, place)


def _check_detector(task: Detector, place: str) -> None:
    check.positive(f"{place}.classes", task.classes)
    check.between(f"{place}.weight", task.weight, 0.0, 1e6)
    if not isinstance(task.thresholds, Thresholds):
        raise check.SettingError(check.sentence(f"{place}.thresholds", "Thresholds", repr(task.thresholds)))
