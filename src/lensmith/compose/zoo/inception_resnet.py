"""Inception-ResNet V2 (Szegedy et al. 2017), as its authors' code and ``keras.applications`` have it.

The code differs from the paper, and so does this row: its stem is Inception V3's with one module after it, where
the paper's Figure 3 has branches; the last module adds its branches whole and without an activation; the residuals
are scaled by 0.17, 0.10 and 0.20. No bias but in the 1×1 convolutions that end a module's branches; batch
normalisations have no gamma.
"""

from __future__ import annotations

from lensmith.compose.blocks import Branches, Conv, Pool, Step
from lensmith.compose.parts import Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family
from lensmith.compose.zoo.inception_v3 import CONVENTIONS, STEM, averaged

_HALVING = Pool(3, stride=2)


def _strided(filters: int) -> Step:
    return Step(filters, 3, 2, padding="valid")


ENTRY = Branches(
    (
        (Step(96),),
        (Step(48), Step(64, 5)),
        (Step(64), Step(96, 3), Step(96, 3)),
        averaged(64),
    )
)
MODULE_A = Branches(((Step(32),), (Step(32), Step(32, 3)), (Step(32), Step(48, 3), Step(64, 3))), scale=0.17)
MODULE_B = Branches(((Step(192),), (Step(128), Step(160, (1, 7)), Step(192, (7, 1)))), scale=0.1)
REDUCTION_A = Branches(((_strided(384),), (Step(256), Step(256, 3), _strided(384)), (_HALVING,)))
REDUCTION_B = Branches(
    (
        (Step(256), _strided(384)),
        (Step(256), _strided(288)),
        (Step(256), Step(288, 3), _strided(320)),
        (_HALVING,),
    )
)


def module_c(scale: float = 0.2, activation: str = "relu") -> Branches:
    """The module of 8×8 (Figure 13)."""
    branches = ((Step(192),), (Step(192), Step(224, (1, 3)), Step(256, (3, 1))))
    return Branches(branches, scale=scale, activation=activation)


INCEPTION_RESNET = Family(
    name="Inception-ResNet",
    origin="Szegedy et al. 2017, Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    convention="as keras.applications: no bias before a batch normalisation, which has no gamma",
    recipes={
        "inception-resnet-v2": Recipe(
            input=(299, 299, 3),
            stem=Steps(*STEM.steps, ENTRY),
            learner=Groups(
                Group(MODULE_A, blocks=10),
                Group(REDUCTION_A),
                Group(MODULE_B, blocks=20),
                Group(REDUCTION_B),
                Group(module_c(), blocks=9),
                Group(module_c(scale=1.0, activation="linear")),
                Group(Conv(kernel=1, norm="before"), filters=1536),
            ),
            tasks={"label": Classify(1000, dropout=0.2)},
            conventions=CONVENTIONS,
        )
    },
)
