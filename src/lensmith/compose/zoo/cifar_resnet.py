"""ResNet for 32×32 pictures (He et al. 2016a, Section 4.2), and its version 2 (He et al. 2016b).

Depth is 6n + 2: three groups of n two-convolution blocks with 16, 32 and 64 filters. Shortcuts take no parameters
(option A). Counted without biases, since batch normalisation follows each convolution.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Basic, Version
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

DEPTHS = (20, 32, 44, 56, 110)
VERSIONS: tuple[Version, ...] = ("1", "2")


def cifar_resnet(depth: int, version: Version = "1", classes: int = 10) -> Recipe:
    """The CIFAR ResNet of ``depth`` layers.

    Raises:
        SettingError: the depth is not 6n + 2.
    """
    blocks, rest = divmod(check.positive("depth", depth) - 2, 6)
    if rest or blocks < 1:
        lower = max(8, depth - rest)
        raise check.SettingError(check.sentence("depth", "6n + 2", depth, f"Take {lower} or {lower + 6}"))
    # Version 2 normalises and activates at the start of each block, so its stem does neither.
    entry = {"norm": version != "2", "activation": "linear" if version == "2" else "relu"}
    block = Basic(version=version, shortcut="padding")
    return Recipe(
        input=(32, 32, 3),
        stem=ConvStem(16, kernel=3, stride=1, bias=False, **entry),  # type: ignore[arg-type]
        learner=Groups(
            *(
                Group(block, filters=filters, blocks=blocks, stride=stride)
                for filters, stride in ((16, 1), (32, 2), (64, 2))
            )
        ),
        tasks={"label": Classify(classes)},
    )


CIFAR_RESNET = Family(
    name="CIFAR ResNet",
    origin="He et al. 2016, Deep Residual Learning for Image Recognition, Section 4.2",
    convention="no bias before a batch normalisation; shortcuts without parameters",
    recipes={
        f"resnet{depth}-cifar-v{version}": cifar_resnet(depth, version) for depth in DEPTHS for version in VERSIONS
    },
)
