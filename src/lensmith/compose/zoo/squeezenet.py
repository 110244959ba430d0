"""SqueezeNet (Iandola et al. 2016, Table 1) and its version 1.1 (the authors' repository).

Every convolution has a bias, as in the authors' Caffe files; there is no batch normalisation. The head makes a map of
each class and averages the rectified maps. Input is 227×227, at which all windows fit exactly: Table 1 says 224, but
its sizes (111, 55, 27, 13) are those of 227, which is what the authors' files take. Published weights expect blue,
green, red, 0..255, minus 104, 117, 123.

Differences between paper and code: the authors' file of version 1.0 pads the last 1×1 convolution by one pixel, which
adds a rim of rectified biases to each map and hardly changes their order; the paper's Table 1 does not, nor does
version 1.1. With complex bypass the paper gives 7.7 MB; its four 1×1 convolutions make 6.4 MB by our count.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Fire, Pool, Step
from lensmith.compose.blocks.fire import BYPASSES, Bypass
from lensmith.compose.layers import Conventions
from lensmith.compose.parts import Group, Groups, Steps
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify
from lensmith.compose.zoo.family import Family

# First convolution's filters and window; filters of the fire modules, group by group; a max pool stands between.
VERSIONS: dict[str, tuple[int, int, tuple[tuple[int, ...], ...]]] = {
    "1.0": (96, 7, ((128, 128, 256), (256, 384, 384, 512), (512,))),
    "1.1": (64, 3, ((128, 128), (256, 256), (384, 384, 512, 512))),
}
POOL = Pool(3, stride=2)


def squeezenet(version: str = "1.0", bypass: Bypass = "none") -> Recipe:
    """SqueezeNet of a version, ``1.0`` or ``1.1``, without bypass or with ``simple`` or ``complex`` ones.

    Raises:
        SettingError: there is no such version or bypass.
    """
    filters, kernel, groups = VERSIONS[check.one_of("version", version, VERSIONS)]
    *pooled, last = (Group(Fire(bypass=bypass), filters=widths) for widths in groups)
    return Recipe(
        input=(227, 227, 3),
        stem=Steps(Step(filters, kernel, stride=2, padding="valid", norm="none"), POOL),
        learner=Groups(*(Group(each.block, filters=each.filters, pool=POOL) for each in pooled), last),
        tasks={"label": Classify(1000, pool="average-last", dropout=0.5)},
        conventions=Conventions(bias=True),
    )


SQUEEZENET = Family(
    name="SqueezeNet",
    origin="Iandola et al. 2016, SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and <0.5MB Model Size",
    convention="a bias in every convolution, no batch normalisation",
    recipes={
        f"squeezenet-{version}{'' if bypass == 'none' else f'-{bypass}'}": squeezenet(version, bypass)
        for version in VERSIONS
        for bypass in BYPASSES
    },
)
