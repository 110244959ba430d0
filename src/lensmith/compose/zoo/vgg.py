"""VGG (Simonyan & Zisserman 2015, Table 1, configurations D and E): 3×3 convolutions, then a pool, five times.

Parameters are counted with biases, as in the paper and in Keras.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Conv
from lensmith.compose.layers import check_widths
from lensmith.compose.parts import Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

FILTERS = (64, 128, 256, 512, 512)


def vgg(blocks: tuple[int, ...]) -> Recipe:
    """VGG with this many convolutions in each of its five groups.

    Raises:
        SettingError: there are not five whole numbers.
    """
    counts = check_widths("blocks", blocks)
    if len(counts) != len(FILTERS):
        raise check.SettingError(check.sentence("blocks", f"{len(FILTERS)} numbers, one for each group", blocks))
    return Recipe(
        input=(224, 224, 3),
        stem=None,
        learner=Groups(
            *(
                Group(Conv(), filters=filters, blocks=count, pool=2)
                for filters, count in zip(FILTERS, counts, strict=True)
            )
        ),
        tasks={"label": Classify(1000, pool="flatten", hidden=(4096, 4096))},
    )


VGG = Family(
    name="VGG",
    origin="Simonyan & Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition",
    convention="a bias in every layer",
    recipes={"vgg16": vgg((2, 2, 3, 3, 3)), "vgg19": vgg((2, 2, 4, 4, 4))},
)
