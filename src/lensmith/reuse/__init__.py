"""What was learnt, used again: pretext tasks, feature datasets, transfer, distillation, pseudo-labels."""

from lensmith.reuse.advice import Advice, Way, compare
from lensmith.reuse.distillation import Teaching, distil, student
from lensmith.reuse.feature_batches import FeatureBatches, Features
from lensmith.reuse.feature_outputs import outputs_of
from lensmith.reuse.features import features
from lensmith.reuse.jigsaw import Jigsaw
from lensmith.reuse.pretext import pretext
from lensmith.reuse.pseudo import Pseudo, held_out, label, merged, self_train
from lensmith.reuse.rotation import Rotation
from lensmith.reuse.teacher import Answers, ask, taught
from lensmith.reuse.transfer import Gain, gains, plan

__all__ = [
    "Advice",
    "Answers",
    "FeatureBatches",
    "Features",
    "Gain",
    "Jigsaw",
    "Pseudo",
    "Rotation",
    "Teaching",
    "Way",
    "ask",
    "compare",
    "distil",
    "features",
    "gains",
    "held_out",
    "label",
    "merged",
    "outputs_of",
    "plan",
    "pretext",
    "self_train",
    "student",
    "taught",
]
