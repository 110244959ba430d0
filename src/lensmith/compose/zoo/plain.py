"""The plain convolutional networks of the books, from one convolution to the histology case.

Parameters are counted with biases, as Keras' ``summary`` prints them.
"""

from __future__ import annotations

from lensmith.compose.blocks import Conv, Pool
from lensmith.compose.parts import Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Binary, Classify
from lensmith.compose.zoo.family import Family

VALID = Conv(padding="valid")
SAME = Conv(padding="same")


def flat(classes: int, *hidden: int, dropout: float = 0.0) -> Classify:
    """A head that flattens the feature maps and has hidden layers."""
    return Classify(classes, pool="flatten", hidden=hidden, dropout=dropout)


LETTERS = Recipe(
    input=(128, 128, 1),
    stem=None,
    learner=Groups(Group(SAME, filters=16, stride=2, pool=2)),
    tasks={"label": flat(26, 512)},
)
DIGITS = Recipe(
    input=(28, 28, 1),
    stem=None,
    learner=Groups(Group(VALID, filters=(32, 64), pool=2, dropout=0.25)),
    tasks={"label": flat(10, 128, dropout=0.5)},
)
DIGITS_5X5 = Recipe(
    input=(28, 28, 1),
    stem=None,
    learner=Groups(Group(Conv(kernel=5, padding="valid"), filters=32, pool=2, dropout=0.2)),
    tasks={"label": flat(10, 128)},
)
CATS_DOGS = Recipe(
    input=(150, 150, 3),
    stem=None,
    learner=Groups(*(Group(VALID, filters=filters, pool=2) for filters in (16, 64, 128))),
    tasks={"label": Binary(pool="flatten", hidden=(512,))},
)
CIFAR_SMALL = Recipe(
    input=(32, 32, 3), stem=None, learner=Groups(Group(VALID, filters=32, pool=2)), tasks={"label": flat(10)}
)
CIFAR = Recipe(
    input=(32, 32, 3),
    stem=None,
    learner=Groups(Group(VALID, filters=(32, 64), pool=2)),
    tasks={"label": flat(10, 128)},
)
HISTOLOGY_V1 = Recipe(
    input=(150, 150, 3),
    stem=None,
    learner=Groups(*(Group(VALID, filters=filters, stride=3, pool=2) for filters in (32, 64))),
    tasks={"tissue": flat(8, 64, dropout=0.5)},
)
HISTOLOGY_V2 = Recipe(
    input=(150, 150, 3),
    stem=None,
    learner=Groups(
        Group(Conv(kernel=5), filters=128, pool=2, dropout=0.2),
        Group(SAME, filters=64, pool=2, dropout=0.2),
        Group(SAME, filters=64, pool=2, dropout=0.2),
    ),
    tasks={"tissue": flat(8, 256, 64, 32)},
)
HISTOLOGY_V3 = Recipe(
    input=(150, 150, 3),
    stem=None,
    learner=Groups(
        *(
            Group(SAME, filters=filters, pool=Pool(3), dropout=0.2)
            for filters in ((16, 16, 16), (32, 32, 32), (64, 64, 64), (128, 128, 256))
        )
    ),
    tasks={"tissue": Classify(8, pool="max")},
)
# What `lensmith train` takes when nothing is named: small enough for two cores, for images of 8 to 256 pixels.
COMPACT = Recipe(
    input=(64, 64, 3),
    stem=None,
    learner=Groups(
        *(Group(Conv(norm="before"), filters=filters, blocks=2, pool=Pool(padding="same")) for filters in (32, 64, 128))
    ),
    tasks={"label": Classify(10, dropout=0.3)},
)

PLAIN = Family(
    name="Plain convolutional",
    origin="Ferlitsch 2021, Deep Learning Patterns and Practices; Michelucci 2019, Advanced Applied Deep Learning",
    convention="a bias in every layer",
    recipes={
        "compact": COMPACT,
        "conv-letters": LETTERS,
        "conv-digits": DIGITS,
        "conv-digits-5x5": DIGITS_5X5,
        "conv-cats-dogs": CATS_DOGS,
        "conv-cifar-small": CIFAR_SMALL,
        "conv-cifar": CIFAR,
        "histology-v1": HISTOLOGY_V1,
        "histology-v2": HISTOLOGY_V2,
        "histology-v3": HISTOLOGY_V3,
    },
)
