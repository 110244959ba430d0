"""Which name maps each row of the zoo knows, and how a file is recognised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.compose.weights import densenet, efficientnet, inception, mobilenet, nasnet, resnet, squeezenet, vgg
from lensmith.compose.weights.assigning import Report, assign
from lensmith.compose.weights.names import OWN, Arrays, NameMap, Weight, weights_of
from lensmith.compose.weights.reading import read

# The first pattern that a row's whole name fits decides; maps are tried in their order.
_FAMILIES: tuple[tuple[str, tuple[NameMap, ...]], ...] = (
    (r"vgg\d+.*", (vgg.KERAS, vgg.TORCH, vgg.PREPARED)),
    (r"resnet\d+-cifar-.*", (resnet.CIFAR,)),
    (r"resnet\d+-v2.*", (resnet.KERAS_V2,)),
    (r"resnet\d+-v1.*", (resnet.KERAS, resnet.TORCHVISION)),
    (r"resnext\d+-.*", (resnet.TORCHVISION,)),
    (r"densenet\d+", (densenet.KERAS, densenet.TORCHVISION, densenet.TORCHVISION_FILES)),
    (r"mobilenet-v1.*", (mobilenet.KERAS_V1,)),
    (r"mobilenet-v2.*", (mobilenet.KERAS_V2,)),
    (r"mobilenet-v3.*", (mobilenet.KERAS_V3, mobilenet.KERAS_V3_IN_ORDER)),
    (r"inception-v3", (inception.KERAS_V3,)),
    (r"inception-resnet-v2", (inception.KERAS_RESNET,)),
    (r"xception", (inception.KERAS_XCEPTION,)),
    (r"nasnet-mobile", (nasnet.KERAS_MOBILE,)),
    (r"nasnet-large", (nasnet.KERAS_LARGE,)),
    (r"squeezenet-.*", (squeezenet.CAFFE, squeezenet.COMPRESSED)),
    (r"efficientnet-.*", (efficientnet.KERAS,)),
)


def maps_for(row: str) -> tuple[NameMap, ...]:
    """The name maps that fit files for a row of the zoo; Lensmith's own names fit any.

    >>> [names.name for names in maps_for("resnet50-v1.5")]
    ['Lensmith', 'keras.applications ResNet', 'torchvision ResNet']
    """
    known = next((maps for pattern, maps in _FAMILIES if re.fullmatch(pattern, row)), ())
    return (OWN, *known)


def load(model: Any, row: str, path: Path | str, *, head: bool = True) -> Report:
    """Read a weights file and put every array in its place, by whichever map of the row knows the file's names.

    Args:
        model: what ``Recipe.build`` made.
        row: the name of the zoo's row that the recipe comes from.
        path: of the file.
        head: whether the tasks' layers get values too.

    Returns:
        What was loaded, by which map, and what was left.

    Raises:
        DataError: the file cannot be read, no map knows its names, or something does not fit; one line names
            the file, and the model is as it was.
    """
    arrays = read(path)
    names = _recognised(model, row, arrays, str(path))
    try:
        return assign(model, arrays, names, head=head)
    except check.DataError as error:
        raise check.DataError(f"{path}, read as {names.name}: {error}") from error


def _recognised(model: Any, row: str, arrays: Arrays, place: str) -> NameMap:
    """The map that finds most of the places outside the head, at least half of them; the first where several do."""
    maps = maps_for(row)
    wanted = [weight for weight in weights_of(model) if not weight.in_head]
    found = {}
    for names in maps:
        offered = {name: array for name, array in arrays.items() if not names.is_head(name)}
        found[names.name] = sum(name in offered for name in names.find(wanted, offered).values())
    best = max(maps, key=lambda names: found[names.name])
    if 2 * found[best.name] >= max(len(wanted), 1):
        return best
    raise unrecognised(wanted, maps, arrays, place)


def unrecognised(weights: Sequence[Weight], maps: Sequence[NameMap], arrays: Arrays, place: str) -> check.DataError:
    """What to raise where no map knows a file's names."""
    ours = ", ".join(f"{weight.path} {weight.shape}" for weight in weights[:3])
    got = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:3])
    expected = f"the names of {', '.join(names.name for names in maps)} for {ours}"
    remedy = "Name the network that the weights are of, as lensmith zoo lists it: --model NAME"
    return check.DataError(check.sentence(place, expected, got, remedy))
