"""Which of a detector's candidates count as found."""

from __future__ import annotations

from dataclasses import dataclass

from lensmith import check


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which of a detector's candidates count as found; part of its recipe, so that they are shipped with it.

    Args:
        score: the least score, 0..1; candidates below it are dropped. Darknet's own default is 0.25.
        iou: non-maximum suppression drops a box that overlaps a better one by more than this, 0..1; 1 drops none.
        most: how many are kept of an image, the best first.
        classwise: whether only boxes of the same class suppress each other.
        best: whether a box counts for its likeliest class alone, and not for each class above the threshold.
            Scores over a data set (mAP) are measured without it.
    """

    score: float = 0.25
    iou: float = 0.45
    most: int = 100
    classwise: bool = True
    best: bool = True

    def __post_init__(self) -> None:
        check.between("thresholds.score", self.score, 0.0, 1.0)
        check.between("thresholds.iou", self.iou, 0.0, 1.0)
        check.positive("thresholds.most", self.most)
        for name in ("classwise", "best"):
            if not isinstance(getattr(self, name), bool):
                got = repr(getattr(self, name))
                raise check.SettingError(check.sentence(f"thresholds.{name}", "True or False", got))
