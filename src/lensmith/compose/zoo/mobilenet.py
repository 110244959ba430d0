"""MobileNet: version 1 (Howard et al. 2017, Table 1), 2 (Sandler et al. 2018, Table 2), 3 (Howard et al. 2019).

Counts and numbers are those of ``keras.applications``. No convolution has a bias but those of squeeze and excitation;
every scaled width is rounded to a multiple of 8 in versions 2 and 3, and cut to a whole number in version 1.

Input is −1..1. ``keras.applications.MobileNetV3…`` takes 0..255 and has that scaling inside, where ours leaves it to
the data; it has no weights.

Differences between paper and code: version 1 activates by ReLU6, of which the paper does not speak; version 3's gates
of squeeze and excitation are the hard sigmoid, and its widths are those of the second version of the paper.
"""

from __future__ import annotations

from collections.abc import Iterable

from lensmith import check
from lensmith.compose.blocks import Conv, InvertedResidual, Separable, Squeeze
from lensmith.compose.blocks.inverted import divisible
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import ConvStem, Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

WIDTHS = (0.25, 0.5, 0.75)
V2_WIDTHS = (0.35, 0.5, 0.75, 1.3, 1.4)
TENSORFLOW = Conventions(epsilon=1e-3, momentum=0.999, padding="tensorflow")

# Version 1: filters and blocks of each group, the first of which strides but in the first group.
_V1 = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
# Version 2, Table 2: expansion t, filters c, blocks n, stride s.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

# Version 3, Tables 1 and 2: groups that stride by 2, or by 1 where no 2 stands first; then of each block
# the channels inside, the filters, the kernel, squeeze and excitation, and the activation.
_Row = tuple[float, int, int, bool, str]
_SMALL: tuple[tuple[int, tuple[_Row, ...]], ...] = (
    (2, ((1, 16, 3, True, "relu"),)),
    (2, ((72 / 16, 24, 3, False, "relu"), (88 / 24, 24, 3, False, "relu"))),
    (
        2,
        (
            (4, 40, 5, True, "hard_silu"),
            (6, 40, 5, True, "hard_silu"),
            (6, 40, 5, True, "hard_silu"),
            (3, 48, 5, True, "hard_silu"),
            (3, 48, 5, True, "hard_silu"),
        ),
    ),
    (2, ((6, 96, 5, True, "hard_silu"),) * 3),
)
_LARGE: tuple[tuple[int, tuple[_Row, ...]], ...] = (
    (1, ((1, 16, 3, False, "relu"),)),
    (2, ((4, 24, 3, False, "relu"), (3, 24, 3, False, "relu"))),
    (2, ((3, 40, 5, True, "relu"),) * 3),
    (
        2,
        (
            (6, 80, 3, False, "hard_silu"),
            (2.5, 80, 3, False, "hard_silu"),
            (2.3, 80, 3, False, "hard_silu"),
            (2.3, 80, 3, False, "hard_silu"),
            (6, 112, 3, True, "hard_silu"),
            (6, 112, 3, True, "hard_silu"),
        ),
    ),
    (2, ((6, 160, 5, True, "hard_silu"),) * 3),
)
_V3 = {"small": (_SMALL, 1024), "large": (_LARGE, 1280)}


def mobilenet_v1(width: float = 1.0) -> Recipe:
    """MobileNet version 1 with ``width`` times the filters, 0.1..4.

    Raises:
        SettingError: the width is out of range.
    """
    check.between("width", width, 0.1, 4.0)
    # keras.applications pads the first convolution as TensorFlow does, the depthwise ones always at the bottom right.
    block = Separable(padding="after")
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(int(32 * width), kernel=3, activation="relu6"),
        learner=Groups(
            *(
                Group(block, filters=int(filters * width), blocks=blocks, stride=2 if i else 1)
                for i, (filters, blocks) in enumerate(_V1)
            )
        ),
        tasks={"label": Classify(1000, dropout=0.001)},
        conventions=Conventions(epsilon=1e-3, momentum=0.99, padding="tensorflow"),
    )


def mobilenet_v2(width: float = 1.0) -> Recipe:
    """MobileNet version 2 with ``width`` times the filters, 0.1..4; the last 1280 only ever grow.

    Raises:
        SettingError: the width is out of range.
    """
    check.between("width", width, 0.1, 4.0)
    groups = (
        Group(InvertedResidual(expansion), filters=divisible(filters * width), blocks=blocks, stride=stride)
        for expansion, filters, blocks, stride in _V2
    )
    last = Group(Conv(1, norm="before", activation="relu6"), filters=divisible(1280 * max(width, 1.0)))
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(divisible(32 * width), kernel=3, activation="relu6"),
        learner=Groups(*groups, last),
        tasks={"label": Classify(1000)},
        conventions=TENSORFLOW,
    )


def mobilenet_v3(size: str, width: float = 1.0) -> Recipe:
    """MobileNet version 3, ``small`` or ``large``, with ``width`` times the filters, 0.1..4.

    Raises:
        SettingError: there is no such size, or the width is out of range.
    """
    rows, hidden = _V3[check.one_of("size", size, _V3)]
    check.between("width", width, 0.1, 4.0)
    groups = [_v3_group(stride, blocks, width) for stride, blocks in rows]
    inside = divisible(6 * groups[-1].each_filters[-1])
    last = Group(Conv(1, norm="before", activation="hard_silu"), filters=inside)
    hidden = divisible(hidden * max(width, 1.0))
    return Recipe(
        input=(224, 224, 3),
        stem=ConvStem(16, kernel=3, activation="hard_silu"),
        learner=Groups(*groups, last),
        tasks={"label": Classify(1000, hidden=(hidden,), activation="hard_silu", dropout=0.2)},
        conventions=TENSORFLOW,
    )


def _v3_group(stride: int, rows: Iterable[_Row], width: float) -> Group:
    blocks, filters = [], []
    for expansion, wide, kernel, squeeze, activation in rows:
        blocks.append(InvertedResidual(expansion, kernel, Squeeze() if squeeze else None, activation))
        filters.append(divisible(wide * width))
    return Group(tuple(blocks), filters=tuple(filters), stride=stride)


MOBILENET = Family(
    name="MobileNet",
    origin="Howard et al. 2017, MobileNets; Sandler et al. 2018, MobileNetV2; Howard et al. 2019, Searching for "
    "MobileNetV3",
    convention="no bias before a batch normalisation, as keras.applications; input is -1..1",
    recipes={
        "mobilenet-v1": mobilenet_v1(),
        **{f"mobilenet-v1-{width}": mobilenet_v1(width) for width in WIDTHS},
        "mobilenet-v2": mobilenet_v2(),
        **{f"mobilenet-v2-{width}": mobilenet_v2(width) for width in V2_WIDTHS},
        **{
            f"mobilenet-v3-{size}{suffix}": mobilenet_v3(size, width)
            for size in _V3
            for suffix, width in (("", 1.0), ("-0.75", 0.75))
        },
    },
)
