"""ResNet for photographs (He et al. 2016a, Table 1) in versions 1, 1.5 and 2 (He et al. 2016b).

``resnet50-v1`` and its like count as the papers do: no bias in a convolution that batch normalisation follows.
``resnet50-v1-keras`` and its like give the counts and the numbers of ``keras.applications``, whose convolutions have
biases; its version 2 also strides in the last block of a group, where the shortcut takes every second pixel.

``resnet34-plain`` is the network with which the books introduce residual blocks: no normalisation, so a bias in every
convolution, and no projections. Where the size changes stands a block without a shortcut: two convolutions, of which
the first strides (in print both do, a mistake). With 2 | 1 + 3 | 1 + 5 | 1 + 2 blocks it has 32 layers, not 34, and
the 21,542,376 parameters that are printed. Sum and activation are in the paper's order.
"""

from __future__ import annotations

from lensmith import check
from lensmith.compose.blocks import Basic, Bottleneck, Version
from lensmith.compose.layers import USUAL, Conventions
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
DEEP = tuple(depth for depth, (block, _) in DEPTHS.items() if block is Bottleneck)
VERSIONS: tuple[Version, ...] = ("1", "1.5", "2")
KERAS_VERSIONS: tuple[Version, ...] = ("1", "2")
KERAS = Conventions(epsilon=1.001e-5, momentum=0.99, bias=True)


def resnet(depth: int, version: Version) -> Recipe:
    """ResNet of ``depth`` layers: 18, 34, 50, 101 or 152.

    Raises:
        SettingError: there is no ResNet of this depth or version.
    """
    block, counts = DEPTHS[check.one_of("depth", depth, DEPTHS)]
    # Version 2 normalises and activates at the start of each block, so its stem does neither.
    stem = _stem(norm=version != "2", bias=False)
    return _recipe(stem, _groups(block(version=version), counts))


def keras_resnet(depth: int, version: Version) -> Recipe:
    """ResNet of 50, 101 or 152 layers in version 1 or 2, as ``keras.applications`` has it.

    Raises:
        SettingError: it has no ResNet of this depth or version.
    """
    counts = DEPTHS[check.one_of("depth", depth, DEEP)][1]
    if check.one_of("version", version, KERAS_VERSIONS) == "1":
        return _recipe(_stem(norm=True), _groups(Bottleneck(), counts), KERAS)
    block = Bottleneck("2", shortcut="subsample")
    groups = (
        Group(block, filters=64 * 2**i, blocks=count, stride=1 if i == 3 else 2, strided="last")
        for i, count in enumerate(counts)
    )
    return _recipe(_stem(norm=False), Groups(*groups), KERAS)


def bottlenecks(depth: int, block: Bottleneck) -> Recipe:
    """ResNet of 50, 101 or 152 layers with another block in the place of its own (version 1 or 1.5).

    Raises:
        SettingError: there is no network of this depth.
    """
    return _recipe(_stem(norm=True), _groups(block, DEPTHS[check.one_of("depth", depth, DEEP)][1]))


def plain_resnet34() -> Recipe:
    """The books' ResNet-34 without normalisation and projections."""
    learner = _groups(Basic(shortcut="none", norm="none"), (2, 4, 6, 3))
    # Written for Keras, whose "same" pads at the bottom right first.
    return _recipe(_stem(norm=False, activation="relu"), learner, Conventions(padding="tensorflow"))


def _stem(*, norm: bool, bias: bool | None = None, activation: str | None = None) -> ConvStem:
    usual = "relu" if norm else "linear"
    return ConvStem(64, kernel=7, stride=2, pool=3, norm=norm, activation=activation or usual, bias=bias)


def _groups(block: Basic | Bottleneck, counts: tuple[int, ...]) -> Groups:
    return Groups(
        *(Group(block, filters=64 * 2**i, blocks=count, stride=1 if i == 0 else 2) for i, count in enumerate(counts))
    )


def _recipe(stem: ConvStem, learner: Groups, conventions: Conventions = USUAL) -> Recipe:
    tasks = {"label": Classify(1000)}
    return Recipe(input=(224, 224, 3), stem=stem, learner=learner, tasks=tasks, conventions=conventions)


RESNET = Family(
    name="ResNet",
    origin="He et al. 2016, Deep Residual Learning for Image Recognition; Identity Mappings in Deep Residual Networks",
    convention="no bias before a batch normalisation; the rows that end in -keras have one, as keras.applications",
    recipes={
        **{f"resnet{depth}-v{version}": resnet(depth, version) for depth in DEPTHS for version in VERSIONS},
        **{
            f"resnet{depth}-v{version}-keras": keras_resnet(depth, version)
            for depth in DEEP
            for version in KERAS_VERSIONS
        },
        "resnet34-plain": plain_resnet34(),
    },
)
