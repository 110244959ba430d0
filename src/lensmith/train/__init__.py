"""A model and batches, made into a better model: stages that can be watched, stopped and resumed.

``train`` knows no data and no model of its own: it takes any ``keras.Model`` whose outputs are logits and
anything that has the form of :class:`Batches`.
"""

from lensmith.train.compiled import check_stage
from lensmith.train.diagnosis import Diagnosis, diagnose, never_predicted
from lensmith.train.draw import Drawn, draw
from lensmith.train.focal import Focal
from lensmith.train.history import Best, Earlier, History, Row
from lensmith.train.interrupt import Interrupted
from lensmith.train.loop import Batches, evaluate, fit
from lensmith.train.objective import Objective
from lensmith.train.progress import Progress, RichProgress, Silent
from lensmith.train.schedules import Constant, Cosine, Exponential, Linear, Plateau, Step, Time
from lensmith.train.stages import Draw, Fit, GapDropout, Patience, Warmup
from lensmith.train.trial import Trial, try_one_batch
from lensmith.train.waiting import Positioned

__all__ = [
    "Batches",
    "Best",
    "Constant",
    "Cosine",
    "Diagnosis",
    "Draw",
    "Drawn",
    "Earlier",
    "Exponential",
    "Fit",
    "Focal",
    "GapDropout",
    "History",
    "Interrupted",
    "Linear",
    "Objective",
    "Patience",
    "Plateau",
    "Positioned",
    "Progress",
    "RichProgress",
    "Row",
    "Silent",
    "Step",
    "Time",
    "Trial",
    "Warmup",
    "check_stage",
    "diagnose",
    "draw",
    "evaluate",
    "fit",
    "never_predicted",
    "try_one_batch",
]
