"""A model and batches, made into a better model: stages that can be watched, stopped and resumed.

``train`` knows no data and no model of its own: it takes any ``keras.Model`` whose outputs are logits and
anything that has the form of :class:`Batches`.
"""

from lensmith.train.compiled import check_stage
from lensmith.train.history import Best, History, Row
from lensmith.train.interrupt import Interrupted
from lensmith.train.loop import Batches, evaluate, fit
from lensmith.train.objective import Objective
from lensmith.train.progress import Progress, RichProgress, Silent
from lensmith.train.stages import Constant, Cosine, Fit, Patience
from lensmith.train.waiting import Positioned

__all__ = [
    "Batches",
    "Best",
    "Constant",
    "Cosine",
    "Fit",
    "History",
    "Interrupted",
    "Objective",
    "Patience",
    "Positioned",
    "Progress",
    "RichProgress",
    "Row",
    "Silent",
    "check_stage",
    "evaluate",
    "fit",
]
