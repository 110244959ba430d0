"""ResNet for photographs (He et al. 2016a, Table 1) in versions 1, 1.5 and 2 (He et al. 2016b).

The papers' convention: no bias in a convolution that batch normalisation follows; ``zoo.get(name, bias=True)``
gives the convention of ``keras.applications`` and its counts.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Basic, Bottleneck, Version
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

DEPTHS: dict[int, tuple[type[Basic] | type[Bottleneck], tuple[int, ...]]] = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
VERSIONS: tuple[Version, ...] = ("1", "1.5", "2")


def resnet(depth: int, version: Version) -> Recipe:
    """ResNet of ``depth`` layers: 18, 34, 50, 101 or 152.

    Raises:
        SettingError: there is no ResNet of this depth or version.
    """
    block, counts = DEPTHS[check.one_of("depth", depth, DEPTHS)]
    # Version 2 normalises and activates at the start of each block, so its stem does neither.
    entry = {"norm": version != "2", "activation": "linear" if version == "2" else "relu"}
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(64, kernel=7, stride=2, pool=3, bias=False, **entry),  # type: ignore[arg-type]
        learner=Groups(
            *(
                Group(block(version=version), filters=64 * 2**i, blocks=count, stride=1 if i == 0 else 2)
                for i, count in enumerate(counts)
            )
        ),
        tasks={"label": Classify(1000)},
    )


RESNET = Family(
    name="ResNet",
    origin="He et al. 2016, Deep Residual Learning for Image Recognition; Identity Mappings in Deep Residual Networks",
    convention="no bias before a batch normalisation; the rows that end in -keras have one, as keras.applications",
    recipes={f"resnet{depth}-v{version}": resnet(depth, version) for depth in DEPTHS for version in VERSIONS},
)
