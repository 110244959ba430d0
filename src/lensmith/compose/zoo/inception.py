"""Inception modules and GoogLeNet (Szegedy et al. 2015, Figure 2 and Table 1), and the books' module.

No batch normalisation, a bias in every convolution. GoogLeNet's two auxiliary classifiers are for training only and
refer to a task by its name, so the row has none; :func:`auxiliaries` gives them.

The paper's two local response normalisations in the stem (Figure 3) are left out: they have no parameters, and
Simonyan & Zisserman (2015, Section 4.1) found that they do not help. Weights that were trained with them, as Caffe's,
therefore do not belong in this row. A pool of stride 2 pads where its window leaves the image, where Caffe rounds up:
the same on even sizes, such as all that 224 pixels lead to.
"""

from __future__ import annotations

from dataclasses import replace

from lensmith import check
from lensmith.compose.auxiliary import Auxiliary
from lensmith.compose.blocks import Branches, Pool, Step
from lensmith.compose.parts import Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

_AROUND = Pool(3, stride=1, padding="same")
_HALVING = Pool(3, stride=2, padding="same")

# Table 1: filters of the 1×1, of the 1×1 before the 3×3, the 3×3, of the 1×1 before the 5×5, the 5×5, after the pool.
TABLE_1: tuple[tuple[tuple[int, int, int, int, int, int], ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def naive(filters: int) -> Branches:
    """The naive module (Figure 2a): 1×1, 3×3, 5×5 with so many filters each, and a max pool, beside each other.

    Raises:
        SettingError: ``filters`` is not a whole number of at least 1.
    """
    check.positive("naive.filters", filters)
    return Branches((*((_step(filters, kernel),) for kernel in (1, 3, 5)), (_AROUND,)))


def reduced(ones: int, before_threes: int, threes: int, before_fives: int, fives: int, pooled: int) -> Branches:
    """The module with reductions (Figure 2b): 1×1 convolutions before the 3×3 and the 5×5, and after the max pool.

    Args:
        ones: filters of the 1×1 convolution that stands alone.
        before_threes, threes: filters of the reduction and of the 3×3 after it.
        before_fives, fives: filters of the reduction and of the 5×5 after it.
        pooled: filters of the 1×1 after the pool.

    Raises:
        SettingError: one is not a whole number of at least 1.
    """
    return Branches(
        (
            (_step(ones, 1),),
            (_step(before_threes, 1), _step(threes, 3)),
            (_step(before_fives, 1), _step(fives, 5)),
            (_AROUND, _step(pooled, 1)),
        )
    )


def auxiliaries(task: str = "label") -> tuple[Auxiliary, Auxiliary]:
    """GoogLeNet's two auxiliary classifiers (Section 5), on modules 4a and 4d, for images of at least 65 pixels.

    >>> from dataclasses import replace
    >>> replace(GOOGLENET, auxiliaries=auxiliaries()).count(auxiliaries=True)[0]
    13378280
    """
    return Auxiliary(task, "learner-group2-block1"), Auxiliary(task, "learner-group2-block4")


def _step(filters: int, kernel: int, stride: int = 1) -> Step:
    return Step(filters, kernel, stride, norm="none")


GOOGLENET = Recipe(
    input=(224, 224, 3),
    stem=Steps(_step(64, 7, 2), _HALVING, _step(64, 1), _step(192, 3), _HALVING),
    learner=Groups(
        *(
            Group(tuple(reduced(*row) for row in rows), pool=_HALVING if i < len(TABLE_1) else None)
            for i, rows in enumerate(TABLE_1, start=1)
        )
    ),
    tasks={"label": Classify(1000, dropout=0.4)},
)
BOOK = Recipe(
    input=(32, 32, 3),
    stem=None,
    learner=Groups(
        Group(
            Branches(((_step(64, 1), _step(64, 3)), (_step(64, 1), _step(64, 5)), (_AROUND, _step(64, 1)))),
        )
    ),
    tasks={"label": Classify(10, pool="flatten")},
)

INCEPTION = Family(
    name="Inception",
    origin="Szegedy et al. 2015, Going Deeper with Convolutions; the module of Ferlitsch 2021",
    convention="a bias in every convolution, no batch normalisation; GoogLeNet without its auxiliary classifiers",
    recipes={
        "googlenet": GOOGLENET,
        # Trained with two further heads, each of weight 0.3, and counted, saved and shipped without them.
        "googlenet-auxiliaries": replace(GOOGLENET, auxiliaries=auxiliaries()),
        "inception-book": BOOK,
    },
)
