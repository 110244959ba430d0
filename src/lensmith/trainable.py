"""Which layers of a model train: found by name, held still for a while, or frozen until they are unfrozen.

A layer here is one that has weights. Layers are counted once each, in the order that data passes through them.
Models inside the model are gone into, and their layers are called by path, such as ``vgg16/block1_conv1``.

A name chooses the layer of this name, or all layers of the part that it names: ``learner-group2`` chooses
``learner-group2-block1-conv`` and not ``learner-group20-pool``. In a pattern ``*`` stands for anything, ``?`` for any
one character and ``[12]`` for one of these. Names and patterns may mean a path, or any name on it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lensmith import check
from lensmith.backend import keras


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A layer with weights and where it is in a model.

    Args:
        path: its name, after the names of the models inside the model that it is in.
        layer: the Keras layer.
        inside: the models it is in, the outermost first.
    """

    path: str
    layer: Any
    inside: tuple[Any, ...]

    @property
    def trains(self) -> bool:
        """Whether gradients change it."""
        return bool(self.layer.trainable) and all(model.trainable for model in self.inside)


def places(model: Any) -> tuple[Place, ...]:
    """The layers of a model that have weights, in the order that data passes through them."""
    found: dict[int, Place] = {}
    for place in _walk(model, "", (model,)):
        if place.layer.weights:
            found.setdefault(id(place.layer), place)
    return tuple(found.values())


def chosen(setting: str, model: Any, patterns: Iterable[str]) -> tuple[Place, ...]:
    """The layers with weights that one of the patterns chooses, in the order of the data.

    Args:
        setting: what messages call the patterns.
        model: any built ``keras.Model``.
        patterns: names and patterns as explained above.

    Raises:
        SettingError: a pattern chooses no layer with weights; names the nearest part or layer.
    """
    known = places(model)
    wanted = tuple(patterns)
    for pattern in wanted:
        if not any(matches(pattern, place.path) for place in known):
            raise _matches_nothing(setting, model, pattern, [place.path for place in known])
    return tuple(place for place in known if any(matches(pattern, place.path) for pattern in wanted))


def matches(pattern: str, path: str) -> bool:
    """Whether a name or pattern chooses the layer of this path.

    >>> matches("stem", "stem-conv"), matches("stem", "stemless"), matches("*-norm?", "vgg/learner-norm1")
    (True, False, True)
    """
    names = {path, *path.split("/")}
    return any(fnmatchcase(name, form) for name in names for form in (pattern, f"{pattern}-*"))


def set_trainable(chosen: Sequence[Place], value: bool) -> None:
    """Let layers train or not. All others stay as they were, also where a model around them was frozen as a whole."""
    if value:
        for model in {id(model): model for place in chosen for model in place.inside if not model.trainable}.values():
            before = [(part, flag) for part, flag in _flags(model) if part is not model]
            model.trainable = True
            _put(before)
    for place in chosen:
        place.layer.trainable = value


@contextlib.contextmanager
def held(model: Any, chosen: Sequence[Place]) -> Iterator[None]:
    """Let these layers not train as long as the context lasts; afterwards everything is as before."""
    before = _flags(model)
    set_trainable(chosen, False)
    try:
        yield
    finally:
        _put(before)


def _walk(model: Any, before: str, inside: tuple[Any, ...]) -> Iterator[Place]:
    for layer in model.layers:
        if isinstance(layer, keras.Model) and _only_layers(layer):
            yield from _walk(layer, f"{before}{layer.name}/", (*inside, layer))
        else:
            yield Place(f"{before}{layer.name}", layer, inside)


def _only_layers(model: Any) -> bool:
    """Whether all weights of a model belong to its layers: one of a user's own class may have some itself."""
    theirs = {id(weight) for layer in model.layers for weight in layer.weights}
    return all(id(weight) in theirs for weight in model.weights)


def _matches_nothing(setting: str, model: Any, pattern: str, paths: list[str]) -> check.SettingError:
    weightless = [place.path for place in _walk(model, "", (model,)) if matches(pattern, place.path)]
    if weightless:
        remedy = f"{weightless[0]} has none"
    else:
        known = dict.fromkeys(form for path in paths for name in path.split("/") for form in parts_of(name))
        remedy = check.nearest(re.sub(r"[*?\[\]]|-$", "", pattern).strip("-"), known)
    return check.SettingError(
        check.sentence(setting, "a name or pattern of layers with weights", repr(pattern), remedy)
    )


def parts_of(name: str) -> list[str]:
    """The name of a layer and of each part it belongs to: ``stem``, ``stem-conv``."""
    return [name[: match.start()] for match in re.finditer("-", name)] + [name]


def _flags(model: Any) -> list[tuple[Any, bool]]:
    """What is trainable of a model, its layers and variables; layers before those inside them, variables last."""
    layers = [(layer, bool(layer.trainable)) for layer in model._flatten_layers()]
    return layers + [(variable, bool(variable.trainable)) for variable in model.variables]


def _put(flags: Iterable[tuple[Any, bool]]) -> None:
    for owner, flag in flags:
        if owner.trainable != flag:  # setting a layer's flag also sets those of all in it
            owner.trainable = flag
