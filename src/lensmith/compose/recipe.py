"""The recipe: one record from which the model, the YAML, the counts and the diagram come."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import written
from lensmith.compose.auxiliary import Auxiliary, build_auxiliaries, check_auxiliaries
from lensmith.compose.detection import DETECTORS, Taps, build_detector
from lensmith.compose.heads import build_head
from lensmith.compose.layers import USUAL, Conventions, Maker
from lensmith.compose.learners import Learner
from lensmith.compose.parts import Stem
from lensmith.compose.tasks import Task

_TASK_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model as data: stem → learner → tasks.

    Change it with ``dataclasses.replace``; make a model of it with :meth:`build`.

    Args:
        input: ``(height, width, channels)`` of the images, or ``(columns,)`` of the rows.
        stem: takes the input in; None passes it on as it is.
        learner: the groups of blocks, or dense layers; None leaves the stem's output to the tasks.
        tasks: the heads, by name; names are letters, digits and underscores.
        conventions: what the layers have in common that no part names, such as the epsilon of normalisation.
        auxiliaries: further heads that only the model for training has.

    >>> from lensmith.compose import Dense, Regress
    >>> recipe = Recipe(input=(13,), stem=None, learner=Dense((10, 10)), tasks={"price": Regress()})
    >>> recipe.build(seed=0).count_params()
    261
    """

    input: tuple[int, ...]
    stem: Stem | None
    learner: Learner | None
    tasks: Mapping[str, Task] = field(hash=False)
    conventions: Conventions = USUAL
    auxiliaries: tuple[Auxiliary, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", _check_input(self.input))
        _check_part("stem", self.stem, written.STEMS)
        _check_part("learner", self.learner, written.LEARNERS)
        object.__setattr__(self, "tasks", MappingProxyType(_check_tasks(self.tasks)))
        _check_part("conventions", self.conventions, written.CONVENTIONS, may_be_none=False)
        object.__setattr__(self, "auxiliaries", check_auxiliaries(self.auxiliaries, self.tasks, self.learner))

    def build(self, seed: int | None = None, *, auxiliaries: bool = False) -> Any:
        """An ordinary ``keras.Model``, its layers named by part, its output the probabilities of each task.

        One task gives a tensor of shape ``(batch, units)``, several a dictionary of them by task.

        Args:
            seed: of the initial weights and of dropout; None draws one from Python's global generator.
            auxiliaries: whether to build the auxiliary heads too, for training; their outputs stand beside those of
                the tasks as ``label_aux1``, … All other weights begin the same. See :mod:`.auxiliary`.

        Raises:
            SettingError: the parts do not fit each other or the input.
        """
        return assemble(self, Maker(seed, conventions=self.conventions), auxiliaries=auxiliaries)

    def count(self, *, auxiliaries: bool = False) -> tuple[int, int]:
        """All parameters and the trainable ones, without spending time or memory on initial weights."""
        make = Maker(seed=0, empty=True, conventions=self.conventions)
        model = assemble(self, make, auxiliaries=auxiliaries)
        return _size(model.weights), _size(model.trainable_weights)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and names, every default written out."""
        return {
            "input": list(self.input),
            "stem": written.to_plain(self.stem),
            "learner": written.to_plain(self.learner),
            "tasks": {name: written.to_plain(task) for name, task in self.tasks.items()},
            "conventions": written.to_plain(self.conventions),
            "auxiliaries": written.to_plain(self.auxiliaries),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Recipe:
        """The recipe that :meth:`to_dict` wrote; what is left out takes its default.

        Raises:
            SettingError: a part or a setting is unknown, missing or of the wrong kind; the nearest name is suggested.
        """
        optional = ("stem", "learner", "conventions", "auxiliaries")
        plain = written.check_keys("recipe", values, ("input", "tasks"), optional)
        tasks = _check_names(plain["tasks"])
        return Recipe(
            input=plain["input"],
            stem=written.from_plain("stem", plain.get("stem"), written.STEMS),
            learner=written.from_plain("learner", plain.get("learner"), written.LEARNERS),
            tasks={name: written.from_plain(f"tasks.{name}", task, written.TASKS) for name, task in tasks.items()},
            conventions=written.from_plain("conventions", plain.get("conventions"), written.CONVENTIONS) or USUAL,
            auxiliaries=written.parts("auxiliaries", plain.get("auxiliaries"), written.AUXILIARIES) or (),
        )

    def to_yaml(self) -> str:
        """The recipe as a YAML document; :meth:`from_yaml` reads it back to an equal recipe."""
        return written.to_yaml(self.to_dict())

    @staticmethod
    def from_yaml(text: str) -> Recipe:
        """The recipe that a YAML document describes.

        Raises:
            SettingError: as for :meth:`from_dict`, or the text is not YAML, with the line.

        >>> Recipe.from_yaml("{input: [4], learner: {part: dense, units: [10]}, tasks: {label: binary}}").count()
        (61, 61)
        """
        return Recipe.from_dict(written.from_yaml(text))


def _check_input(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, list | tuple) else ()
    if len(sizes) not in (1, 3):
        expected = "(height, width, channels) of images or (columns,) of rows"
        raise check.SettingError(check.sentence("input", expected, repr(shape)))
    return tuple(check.positive("input", size) for size in sizes)


def _check_part(place: str, part: Any, kinds: Mapping[str, type], *, may_be_none: bool = True) -> None:
    if isinstance(part, tuple(kinds.values())) or (part is None and may_be_none):
        return
    *names, last = [kind.__name__ for kind in kinds.values()] + ["None"] * may_be_none
    raise check.SettingError(check.sentence(place, f"{', '.join(names)} or {last}" if names else last, repr(part)))


def _check_names(tasks: Any) -> Mapping[str, Any]:
    if not isinstance(tasks, Mapping):
        remedy = "For example {'label': Classify(10)}"
        raise check.SettingError(check.sentence("tasks", "a task for each name", repr(tasks), remedy))
    for name in tasks:
        if not isinstance(name, str) or not _TASK_NAME.fullmatch(name):
            expected = "a name of letters, digits and underscores"
            raise check.SettingError(check.sentence("tasks", expected, repr(name)))
    return tasks


def _check_tasks(tasks: Mapping[str, Task]) -> dict[str, Task]:
    if not _check_names(tasks):
        raise check.SettingError("tasks: expected at least one; got none. For example {'label': Classify(10)}")
    for name, task in tasks.items():
        _check_part(f"tasks.{name}", task, written.TASKS, may_be_none=False)
    return dict(tasks)


def assemble(recipe: Recipe, make: Maker, *, auxiliaries: bool) -> Any:
    """The recipe's model of layers that ``make`` makes; see :meth:`Recipe.build`."""
    source = keras.Input(recipe.input, name="image" if len(recipe.input) == 3 else "row")
    x = backbone(recipe, source, make)
    taps = Taps(source, x)
    outputs = {name: head(task, taps, make, name, recipe.input) for name, task in recipe.tasks.items()}
    if auxiliaries and recipe.auxiliaries:
        outputs |= build_auxiliaries(recipe.auxiliaries, recipe.tasks, keras.Model(source, x), make)
    return keras.Model(source, outputs if len(outputs) > 1 else next(iter(outputs.values())), name="lensmith")


def head(task: Task, taps: Taps, make: Maker, name: str, source: tuple[int, ...] = ()) -> Any:
    """The head of a task on a backbone's feature maps: probabilities, numbers, or a detector's candidates."""
    if isinstance(task, DETECTORS):
        return build_detector(task, taps, make, name)
    return build_head(task, taps.last, make, name, source=source)


def backbone(recipe: Recipe, source: Any, make: Maker) -> Any:
    """What the heads read: the stem and the learner, laid on ``source``; a learner may give several tensors by name."""
    x = recipe.stem.build(source, make) if recipe.stem else source
    return recipe.learner.build(x, make) if recipe.learner else x


def _size(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
