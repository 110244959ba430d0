"""How good a detector is: average precision as COCO and as Pascal VOC measure it, for the heads of every detector.

:func:`score` takes what is there and what was found, image by image, whoever found it.
"""

from lensmith.detect.score.scores import ClassScores, DetectionScores
from lensmith.detect.score.scoring import STYLES, score

__all__ = ["STYLES", "ClassScores", "DetectionScores", "score"]
