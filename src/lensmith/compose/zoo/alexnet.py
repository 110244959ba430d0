"""AlexNet (Krizhevsky et al. 2012, Section 3.5).

``alexnet`` is the paper's: convolutions 2, 4 and 5 are dealt into two groups, one for each of its two processors, and
local response normalisation follows the first two. ``alexnet-one-tower`` is what later code made of it: the same
widths without groups, and without that normalisation, which brought VGG nothing (Simonyan & Zisserman 2015,
Section 4.1). A bias in every layer.

The paper's Figure 2 says 224×224 pixels; its 55×55 maps after a window of 11 and a stride of 4 need 227.
"""

from __future__ import annotations

from lensmith.compose.blocks import Conv, Pool
from lensmith.compose.blocks.conv import Order
from lensmith.compose.parts import Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family


def alexnet(towers: int = 2, *, local: bool = True) -> Recipe:
    """AlexNet.

    Args:
        towers: groups of convolutions 2, 4 and 5.
        local: local response normalisation after convolutions 1 and 2.

    Raises:
        SettingError: the towers are no whole number of at least 1.
    """
    norm: Order = "local" if local else "none"
    pool = Pool(3, stride=2)
    return Recipe(
        input=(227, 227, 3),
        stem=None,
        learner=Groups(
            Group(Conv(11, padding="valid", norm=norm), filters=96, stride=4, pool=pool),
            Group(Conv(5, norm=norm, groups=towers), filters=256, pool=pool),
            Group(Conv(3), filters=384),  # the one place where each tower reads both
            Group(Conv(3, groups=towers), filters=(384, 256), pool=pool),
        ),
        tasks={"label": Classify(1000, pool="flatten", hidden=(4096, 4096), dropout=0.5)},
    )


ALEXNET = Family(
    name="AlexNet",
    origin="Krizhevsky, Sutskever & Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks",
    convention="a bias in every layer",
    recipes={"alexnet": alexnet(), "alexnet-one-tower": alexnet(towers=1, local=False)},
)
