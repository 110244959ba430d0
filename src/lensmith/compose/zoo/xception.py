"""Xception (Chollet 2017, Figure 5), as its author's code in ``keras.applications`` has it.

No bias but in the last layer; a batch normalisation after every convolution and every separable convolution, none
and no activation between the two halves of one. Groups: entry flow to strides 4 and 8, the third entry module with
the eight of the middle flow, the exit flow.
"""

from __future__ import annotations

from lensmith.compose.blocks import SeparableConv, SeparableResidual, Step
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

_MIDDLE = (SeparableResidual(depth=3),) * 8
_EXIT = (SeparableResidual(widening="last"), SeparableConv(), SeparableConv())

XCEPTION = Family(
    name="Xception",
    origin="Chollet 2017, Xception: Deep Learning with Depthwise Separable Convolutions",
    convention="as keras.applications: no bias before a batch normalisation",
    recipes={
        "xception": Recipe(
            input=(299, 299, 3),
            stem=Steps(Step(32, 3, 2, padding="valid"), Step(64, 3, padding="valid")),
            learner=Groups(
                Group(SeparableResidual(activated=False), filters=128),
                Group(SeparableResidual(), filters=256),
                Group((SeparableResidual(), *_MIDDLE), filters=728),
                Group(_EXIT, filters=(1024, 1536, 2048)),
            ),
            tasks={"label": Classify(1000, dropout=0.5)},
            conventions=Conventions(epsilon=1e-3, momentum=0.99, padding="tensorflow"),
        )
    },
)
