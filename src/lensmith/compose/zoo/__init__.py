"""The zoo: a table of recipes by name. A variant is a row of data, a family one file.

>>> from lensmith.compose import zoo
>>> zoo.get("vgg16").input
(224, 224, 3)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lensmith import check
from lensmith.compose.parts import ConvStem, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.zoo.cifar_resnet import CIFAR_RESNET, cifar_resnet
from lensmith.compose.zoo.dense import DENSE
from lensmith.compose.zoo.plain import PLAIN
from lensmith.compose.zoo.resnet import RESNET, resnet
from lensmith.compose.zoo.vgg import VGG, vgg

TABLE: Mapping[str, Recipe] = MappingProxyType({**DENSE, **PLAIN, **VGG, **RESNET, **CIFAR_RESNET})

__all__ = ["TABLE", "cifar_resnet", "get", "names", "resnet", "vgg", "with_bias"]


def names() -> tuple[str, ...]:
    """Every recipe's name: lower case with hyphens, families together."""
    return tuple(TABLE)


def get(name: str, *, bias: bool = False) -> Recipe:
    """The recipe of this name.

    Args:
        name: lower case with hyphens, such as ``resnet50-v1.5``.
        bias: give the convolutions of a residual network the biases that ``keras.applications`` has and the
            papers have not.

    Raises:
        SettingError: there is none; the nearest name is suggested.
    """
    if name not in names():
        remedy = check.nearest(name, TABLE) or "See them all: lensmith zoo"
        raise check.SettingError(f"there is no {name!r} in the zoo. {remedy}")
    return with_bias(TABLE[name]) if bias else TABLE[name]


def with_bias(recipe: Recipe) -> Recipe:
    """The same recipe with a bias in every convolution that may have one."""
    stem, learner = recipe.stem, recipe.learner
    if isinstance(stem, ConvStem):
        stem = replace(stem, bias=True)
    if isinstance(learner, Groups):
        groups = [replace(group, block=replace(group.block, bias=True)) for group in learner.groups]
        learner = Groups(*groups)
    return replace(recipe, stem=stem, learner=learner)
