"""ShuffleNet version 1 (Zhang et al. 2018, Table 1): grouped 1×1 convolutions and a channel shuffle.

No convolution has a bias, since a batch normalisation follows each. The paper states operations and not parameters;
ours are counted from its Table 1, with the inner width a quarter of the unit's filters. The first 1×1 convolution of
stage 2 is not grouped (Section 3.3). Input is standardised by the channels' means and deviations.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Shuffle
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

# Groups, and the filters of stage 2, which double in stages 3 and 4: all near 140 million multiplications.
FILTERS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
UNITS = (4, 8, 4)


def shufflenet_v1(groups: int = 3) -> Recipe:
    """ShuffleNet version 1 with 1, 2, 3, 4 or 8 groups.

    Raises:
        SettingError: the paper has no network with so many groups.
    """
    filters = FILTERS[check.one_of("groups", groups, FILTERS)]
    unit, entry = Shuffle(groups), Shuffle(groups, entry_groups=1)
    stages = [Group(unit, filters=filters * 2**i, blocks=count) for i, count in enumerate(UNITS)]
    stages[0] = Group((entry, *(unit,) * (UNITS[0] - 1)), filters=filters)
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(24, kernel=3, pool=3),
        learner=Groups(*stages),
        tasks={"label": Classify(1000)},
    )


SHUFFLENET = Family(
    name="ShuffleNet",
    origin="Zhang et al. 2018, ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    convention="no bias before a batch normalisation; the first unit's entry is not grouped",
    recipes={f"shufflenet-v1-g{groups}": shufflenet_v1(groups) for groups in FILTERS},
)
