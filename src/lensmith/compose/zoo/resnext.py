"""ResNeXt (Xie et al. 2017, Table 1): ResNet whose 3×3 convolutions are dealt into 32 groups of 4 channels.

Counted without biases, since batch normalisation follows each convolution. The stride is in the 3×3, as in the
authors' code.
"""

from __future__ import annotations

from lensmith.compose.blocks import Bottleneck
from lensmith.compose.recipe import Recipe
from lensmith.compose.zoo.family import Family
from lensmith.compose.zoo.resnet import bottlenecks


def resnext(depth: int, cardinality: int = 32, width: int = 4, squeeze: int | None = None) -> Recipe:
    """ResNeXt of ``depth`` layers.

    Args:
        depth: 50, 101 or 152.
        cardinality: groups of the 3×3 convolutions.
        width: channels of each group in the first stage; it doubles from stage to stage.
        squeeze: squeeze and excitation with so many times fewer channels inside; None for none.

    Raises:
        SettingError: there is no network of this depth, or a setting is wrong.
    """
    return bottlenecks(depth, Bottleneck("1.5", cardinality=cardinality, base_width=width, squeeze=squeeze))


RESNEXT = Family(
    name="ResNeXt",
    origin="Xie et al. 2017, Aggregated Residual Transformations for Deep Neural Networks",
    convention="no bias before a batch normalisation",
    recipes={f"resnext{depth}-32x4d": resnext(depth) for depth in (50, 101)},
)
