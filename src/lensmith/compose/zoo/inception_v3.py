"""Inception V3 (Szegedy et al. 2016, Table 1), as its authors' code and ``keras.applications`` have it.

No bias, and batch normalisations without their factor gamma, since a rectifier follows each; both leave what the
network can say as it is. The auxiliary classifier of the paper is not part of the row. The paper's table lists other
layers in the stem and five modules of 17×17; the code has four and the reduction before them.
"""

from __future__ import annotations

from lensmith.compose.blocks import Branches, Pool, Step
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

CONVENTIONS = Conventions(epsilon=1e-3, momentum=0.99, norm_scale=False)
# To 35×35×192; the stem of Inception-ResNet V2 in the code, too.
STEM = Steps(
    Step(32, 3, 2, padding="valid"),
    Step(32, 3, padding="valid"),
    Step(64, 3),
    Pool(3, stride=2),
    Step(80, padding="valid"),
    Step(192, 3, padding="valid"),
    Pool(3, stride=2),
)
_HALVING = Pool(3, stride=2)


def module_a(pooled: int) -> Branches:
    """The module of 35×35 (Figure 5): the 5×5 also as two 3×3."""
    return Branches(
        (
            (Step(64),),
            (Step(48), Step(64, 5)),
            (Step(64), Step(96, 3), Step(96, 3)),
            averaged(pooled),
        )
    )


def module_b(inner: int) -> Branches:
    """The module of 17×17 (Figure 6, n = 7): 7×7 as 1×7 and 7×1."""
    wide, high = (1, 7), (7, 1)
    return Branches(
        (
            (Step(192),),
            (Step(inner), Step(inner, wide), Step(192, high)),
            (Step(inner), Step(inner, high), Step(inner, wide), Step(inner, high), Step(192, wide)),
            averaged(192),
        )
    )


def module_c() -> Branches:
    """The module of 8×8 (Figure 7): branches that fork into 1×3 and 3×1."""
    fork = Branches(((Step(384, (1, 3)),), (Step(384, (3, 1)),)))
    return Branches(
        (
            (Step(320),),
            (Step(384), fork),
            (Step(448), Step(384, 3), fork),
            averaged(192),
        )
    )


def averaged(filters: int) -> tuple[Pool, Step]:
    """An average over 3×3, then a 1×1 convolution."""
    return Pool(3, stride=1, kind="average", padding="same"), Step(filters)


def _strided(filters: int) -> Step:
    return Step(filters, 3, 2, padding="valid")


REDUCTION_A = Branches(((_strided(384),), (Step(64), Step(96, 3), _strided(96)), (_HALVING,)))
REDUCTION_B = Branches(
    (
        (Step(192), _strided(320)),
        (Step(192), Step(192, (1, 7)), Step(192, (7, 1)), _strided(192)),
        (_HALVING,),
    )
)

INCEPTION_V3 = Family(
    name="Inception V3",
    origin="Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision",
    convention="as keras.applications: no bias, batch normalisation without gamma, no auxiliary classifier",
    recipes={
        "inception-v3": Recipe(
            input=(299, 299, 3),
            stem=STEM,
            learner=Groups(
                Group((module_a(32), module_a(64), module_a(64))),
                Group((REDUCTION_A, *(module_b(inner) for inner in (128, 160, 160, 192)))),
                Group((REDUCTION_B, module_c(), module_c())),
            ),
            tasks={"label": Classify(1000)},
            conventions=CONVENTIONS,
        )
    },
)
