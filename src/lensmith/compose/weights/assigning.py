"""Put arrays in their places, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.compose.weights.layout import ordered
from lensmith.compose.weights.names import Arrays, NameMap, Weight, weights_of


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the weights.

    Args:
        names: the map that was used.
        loaded: our weights that have new values.
        left: our weights that stay as they were: those of the heads.
        unused: arrays of the file that went nowhere: those of its head, and counters.
    """

    names: str
    loaded: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]


def assign(model: Any, arrays: Arrays, names: NameMap, *, head: bool = True) -> Report:
    """Put every array of a file in its place; what does not fit is refused before any weight is changed.

    Args:
        model: what ``Recipe.build`` made.
        arrays: of the file, as :func:`read` gives them.
        names: how they are called and laid out.
        head: whether the tasks' layers get values too; False keeps them as they are, for other classes.

    Returns:
        What was loaded and what was left.

    Raises:
        DataError: a weight has no array, an array no weight, or a shape does not fit; one line names both sides,
            and the model is as it was.
    """
    weights = weights_of(model)
    wanted = [weight for weight in weights if head or not weight.in_head]
    offered = {
        name: array
        for name, array in arrays.items()
        if not names.is_ignored(name) and (head or not names.is_head(name))
    }
    found = names.find(wanted, offered)
    _check_places(wanted, found, offered)
    _check_unused(found, offered)
    made = {weight.path: _made(weight, found[weight.path], offered, names) for weight in wanted}
    for variable in model.weights:
        if variable.path in made:
            variable.assign(made[variable.path])
    left = tuple(weight.path for weight in weights if weight.path not in made)
    return Report(names.name, tuple(made), left, tuple(name for name in arrays if name not in offered))


def _check_places(wanted: Sequence[Weight], found: Mapping[str, str], offered: Arrays) -> None:
    sources: dict[str, str] = {}
    for weight in wanted:
        source = found.get(weight.path, "")
        if source not in offered:
            expected = f"the array {source!r}" if source else "an array in the file"
            raise check.DataError(check.sentence(weight.path, expected, "none", _remedy(weight, source, offered)))
        if source in sources:
            expected = f"the array {source!r} for one weight"
            raise check.DataError(check.sentence(weight.path, expected, f"it for {sources[source]} too"))
        sources[source] = weight.path


def _remedy(weight: Weight, source: str, offered: Arrays) -> str:
    if weight.in_head:
        return "For other classes leave the head as it is: head=False"
    if weight.name == "bias":
        return "The file's layer has no bias: take a recipe whose convolutions have none"
    return check.nearest(source, offered) if source else ""


def _check_unused(found: Mapping[str, str], offered: Arrays) -> None:
    unused = sorted(offered.keys() - set(found.values()))
    if not unused:
        return
    biases = all(name.rpartition("/")[2] == "bias" or name.endswith(".bias") for name in unused)
    remedy = "The file's layers have biases: take a recipe that has them" if biases else ""
    got = f"{len(unused)} left over, such as {', '.join(unused[:3])}"
    raise check.DataError(check.sentence("weights", "a place for every array", got, remedy))


def _made(weight: Weight, source: str, offered: Arrays, names: NameMap) -> np.ndarray:
    array = ordered(offered[source], weight, names.layout)
    if array.shape != weight.shape:
        got = f"{array.shape} from {source!r}"
        remedy = "For other classes leave the head as it is: head=False" if weight.in_head else ""
        raise check.DataError(check.sentence(weight.path, f"an array of shape {weight.shape}", got, remedy))
    values = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(values).all():
        raise check.DataError(check.sentence(weight.path, "finite numbers", f"others from {source!r}"))
    return values
