"""SE-ResNet and SE-ResNeXt (Hu et al. 2018, Table 1): squeeze and excitation at the end of each residual branch.

The two fully connected layers of each have biases, as in the authors' code, and inside 16 times fewer channels; all
other convolutions have none. SE-ResNet strides in the first 1×1 as that code does, SE-ResNeXt in the 3×3. The stem is
ResNet's 7×7; SENet-154 and its changed stem are not here.
"""

from __future__ import annotations

from lensmith.compose.blocks import Bottleneck
from lensmith.compose.recipe import Recipe
from lensmith.compose.zoo.family import Family
from lensmith.compose.zoo.resnet import bottlenecks
from lensmith.compose.zoo.resnext import resnext

REDUCTION = 16


def se_resnet(depth: int, reduction: int = REDUCTION) -> Recipe:
    """SE-ResNet of ``depth`` layers, with ``reduction`` times fewer channels inside the squeeze.

    Raises:
        SettingError: there is no network of this depth, or the reduction is no whole number of at least 1.
    """
    return bottlenecks(depth, Bottleneck("1", squeeze=reduction))


SE = Family(
    name="Squeeze and excitation",
    origin="Hu et al. 2018, Squeeze-and-Excitation Networks",
    convention="no bias before a batch normalisation; biases in the squeeze's two layers",
    recipes={
        **{f"se-resnet{depth}": se_resnet(depth) for depth in (50, 101, 152)},
        **{f"se-resnext{depth}-32x4d": resnext(depth, squeeze=REDUCTION) for depth in (50, 101)},
    },
)
