"""The zoo: a table of recipes by name. A variant is a row of data, a family one file.

>>> from lensmith.compose import zoo
>>> zoo.get("vgg16").input
(224, 224, 3)
>>> zoo.family("vgg16").origin
'Simonyan & Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition'
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lensmith import check
from lensmith.compose.recipe import Recipe
from lensmith.compose.zoo.alexnet import ALEXNET
from lensmith.compose.zoo.autoencoder import AUTOENCODER
from lensmith.compose.zoo.cifar_resnet import CIFAR_RESNET, cifar_resnet
from lensmith.compose.zoo.dense import DENSE
from lensmith.compose.zoo.densenet import DENSENET
from lensmith.compose.zoo.efficientnet import EFFICIENTNET
from lensmith.compose.zoo.family import Family
from lensmith.compose.zoo.inception import INCEPTION
from lensmith.compose.zoo.inception_resnet import INCEPTION_RESNET
from lensmith.compose.zoo.inception_v3 import INCEPTION_V3
from lensmith.compose.zoo.mobilenet import MOBILENET
from lensmith.compose.zoo.nasnet import NASNET, nasnet
from lensmith.compose.zoo.plain import PLAIN
from lensmith.compose.zoo.resnet import RESNET, resnet
from lensmith.compose.zoo.resnext import RESNEXT
from lensmith.compose.zoo.se import SE
from lensmith.compose.zoo.shufflenet import SHUFFLENET
from lensmith.compose.zoo.squeezenet import SQUEEZENET
from lensmith.compose.zoo.unet import UNET
from lensmith.compose.zoo.vgg import VGG, vgg
from lensmith.compose.zoo.wide_resnet import WIDE_RESNET
from lensmith.compose.zoo.xception import XCEPTION

FAMILIES: tuple[Family, ...] = (
    DENSE,
    PLAIN,
    VGG,
    RESNET,
    CIFAR_RESNET,
    WIDE_RESNET,
    RESNEXT,
    SE,
    DENSENET,
    ALEXNET,
    MOBILENET,
    INCEPTION,
    INCEPTION_V3,
    INCEPTION_RESNET,
    XCEPTION,
    NASNET,
    SQUEEZENET,
    SHUFFLENET,
    EFFICIENTNET,
    UNET,
    AUTOENCODER,
)
TABLE: Mapping[str, Recipe] = MappingProxyType(
    {name: recipe for each in FAMILIES for name, recipe in each.recipes.items()}
)

__all__ = ["FAMILIES", "TABLE", "Family", "cifar_resnet", "family", "get", "names", "nasnet", "resnet", "vgg"]


def names() -> tuple[str, ...]:
    """Every recipe's name: lower case with hyphens, families together."""
    return tuple(TABLE)


def get(name: str) -> Recipe:
    """The recipe of this name, such as ``resnet50-v1.5``.

    Raises:
        SettingError: there is none; the nearest name is suggested.
    """
    if name not in names():
        remedy = check.nearest(name, TABLE) or "See them all: lensmith zoo"
        raise check.SettingError(f"there is no {name!r} in the zoo. {remedy}")
    return TABLE[name]


def family(name: str) -> Family:
    """The family that the recipe of this name belongs to.

    Raises:
        SettingError: as for :func:`get`.
    """
    recipe = get(name)
    return next(each for each in FAMILIES if each.recipes.get(name) is recipe)
