"""Wide ResNet (Zagoruyko & Komodakis 2016, Table 1): version 2 of ResNet for 32×32 pictures, but k times wider.

Depth is 6n + 4: a 3×3 stem of 16 filters, three groups of n two-convolution blocks with 16k, 32k and 64k filters, and
in each group a 1×1 projection. Counted without biases but for the last layer: this gives the paper's 36.5, 11.0 and
8.9 million.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Basic
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

MEMBERS = ((16, 8), (28, 10), (40, 4))


def wide_resnet(depth: int, width: int, classes: int = 10, dropout: float = 0.0) -> Recipe:
    """WRN-``depth``-``width``.

    Args:
        depth: 6n + 4.
        width: factor k of all filters.
        classes: of the pictures.
        dropout: share dropped between the convolutions of a block, 0..1; the paper takes 0.3 on CIFAR.

    Raises:
        SettingError: the depth is not 6n + 4, or another setting is wrong.
    """
    blocks, rest = divmod(check.positive("depth", depth) - 4, 6)
    if rest or blocks < 1:
        lower = max(10, depth - rest)
        raise check.SettingError(check.sentence("depth", "6n + 4", depth, f"Take {lower} or {lower + 6}"))
    wide = check.positive("width", width)
    return Recipe(
        input=(32, 32, 3),
        stem=ConvStem(16, kernel=3, stride=1, norm=False, activation="linear", bias=False),
        learner=Groups(
            *(
                Group(Basic("2", dropout=dropout), filters=filters * wide, blocks=blocks, stride=stride)
                for filters, stride in ((16, 1), (32, 2), (64, 2))
            )
        ),
        tasks={"label": Classify(classes)},
    )


WIDE_RESNET = Family(
    name="Wide ResNet",
    origin="Zagoruyko & Komodakis 2016, Wide Residual Networks",
    convention="no bias before a batch normalisation; 1×1 projections",
    recipes={f"wrn-{depth}-{width}": wide_resnet(depth, width) for depth, width in MEMBERS},
)
