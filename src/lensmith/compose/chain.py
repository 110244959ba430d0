"""Chains: one model finds where to look, the image is cropped there, and the next model sees the crop.

The whole is one ``keras.Model`` with one input, so that it trains, saves and ships like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import written
from lensmith.compose.auxiliary import Auxiliary
from lensmith.compose.cropping import crop_and_resize, widened
from lensmith.compose.detection import DETECTORS, Taps
from lensmith.compose.layers import Maker, check_flag
from lensmith.compose.recipe import Recipe, backbone, head
from lensmith.compose.tasks import Localise, Task

BACKBONE = "then"  # the layer that holds the second model's stem and learner
PREFIX = f"{BACKBONE}-"  # before the names of the layers in it
_KEYS = ("find", "crop", "then")


@dataclass(frozen=True, slots=True)
class Crop:
    """What is cut out of the image for the next model, which says at what size.

    Args:
        task: the :class:`Localise` task of the first model whose box it is.
        margin: how much wider the crop is than the box on each side, as a share of the box; 0.1 forgives a tenth.
        square: widen the shorter side to the longer, so that nothing is distorted.
        learn: let the second model's errors move the box too; else its gradient ends at the crop.
    """

    task: str
    margin: float = 0.1
    square: bool = True
    learn: bool = False

    def __post_init__(self) -> None:
        check.between("crop.margin", self.margin, 0.0, 10.0)
        check_flag("crop.square", self.square)
        check_flag("crop.learn", self.learn)


@dataclass(frozen=True, slots=True)
class Chain:
    """Two models, the second of which sees what the first has found.

    It is used like a :class:`Recipe`: its input is the first model's, its tasks are those of both.

    Args:
        find: has a :class:`Localise` task.
        crop: says which, and how much is cut out.
        then: its input is the size of the crop.

    Raises:
        SettingError: there is no such task, a task's name stands in both, or the channels differ.

    >>> from lensmith.compose import Classify, Conv, Group, Groups
    >>> eye = Groups(Group(Conv(), filters=8, pool=2))
    >>> find = Recipe((28, 28, 1), None, eye, {"where": Localise()})
    >>> name = Recipe((14, 14, 1), None, eye, {"digit": Classify(10)})
    >>> sorted(Chain(find, Crop("where"), name).build(seed=0).output)
    ['digit', 'where']
    """

    find: Recipe
    crop: Crop
    then: Recipe

    def __post_init__(self) -> None:
        for name, kind in (("find", Recipe), ("crop", Crop), ("then", Recipe)):
            if not isinstance(getattr(self, name), kind):
                raise check.SettingError(check.sentence(name, f"a {kind.__name__}", repr(getattr(self, name))))
        box = self.find.tasks[check.one_of("crop.task", self.crop.task, self.find.tasks)]
        if not isinstance(box, Localise) or box.points:
            got = "one of key points" if isinstance(box, Localise) else type(box).__name__
            raise check.SettingError(check.sentence("crop.task", "a Localise task", got))
        if len(self.find.input) != 3 or len(self.then.input) != 3 or self.find.input[2] != self.then.input[2]:
            expected = f"an input of images with {self.find.input[-1]} channel(s), as find has"
            raise check.SettingError(check.sentence("then.input", expected, self.then.input))
        if self.then.stem is None and self.then.learner is None:
            raise check.SettingError("then: expected a stem or a learner; got neither")
        if found := [name for name, task in self.then.tasks.items() if isinstance(task, DETECTORS)]:
            got = f"the detector {found[0]!r}"
            raise check.SettingError(check.sentence("then.tasks", "heads of what its learner gives last", got))
        if twice := sorted(set(self.find.tasks) & set(self.then.tasks)):
            raise check.SettingError(f"then.tasks: {twice[0]!r} is a task of find too. Give one of them another name")

    @property
    def input(self) -> tuple[int, ...]:
        """``(height, width, channels)`` of the images."""
        return self.find.input

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks of both models."""
        return MappingProxyType({**self.find.tasks, **self.then.tasks})

    @property
    def auxiliaries(self) -> tuple[Auxiliary, ...]:
        """None: a chain has only heads that stay."""
        return ()

    def build(self, seed: int | None = None, *, auxiliaries: bool = False) -> Any:
        """An ordinary ``keras.Model``; its output is a dictionary by task. Arguments as for :meth:`Recipe.build`."""
        return _joined(self, self.find.build(seed), seed)

    def count(self, *, auxiliaries: bool = False) -> tuple[int, int]:
        """All parameters and the trainable ones."""
        counts = self.find.count(), self.then.count()
        return counts[0][0] + counts[1][0], counts[0][1] + counts[1][1]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and names, every default written out."""
        crop = {name: getattr(self.crop, name) for name in ("task", "margin", "square", "learn")}
        return {"find": self.find.to_dict(), "crop": crop, "then": self.then.to_dict()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Chain:
        """The chain that :meth:`to_dict` wrote.

        Raises:
            SettingError: a part or a setting is unknown, missing or of the wrong kind.
        """
        plain = written.check_keys("chain", values, _KEYS, ())
        crop = written.check_keys("chain.crop", plain["crop"], ("task",), ("margin", "square", "learn"))
        return Chain(Recipe.from_dict(plain["find"]), Crop(**crop), Recipe.from_dict(plain["then"]))

    def to_yaml(self) -> str:
        """The chain as a YAML document."""
        return written.to_yaml(self.to_dict())


def read_yaml(text: str) -> Recipe | Chain:
    """The recipe or the chain that a YAML document describes.

    Raises:
        SettingError: as for :meth:`Recipe.from_yaml`.
    """
    values = written.from_yaml(text)
    return Chain.from_dict(values) if isinstance(values, Mapping) and "find" in values else Recipe.from_dict(values)


def _joined(chain: Chain, model: Any, seed: int | None) -> Any:
    """Both models as one: the second's backbone is one layer of it, its heads stand beside the first's."""
    outputs = dict(model.output) if isinstance(model.output, dict) else {next(iter(chain.find.tasks)): model.output}
    box = outputs[chain.crop.task]
    box = box if chain.crop.learn else keras.ops.stop_gradient(box)
    (height, width, _), (high, wide, _) = chain.find.input, chain.then.input
    box = widened(box, chain.crop.margin, (height, width), square=chain.crop.square)
    crop = crop_and_resize(model.input, box, (high, wide))
    # The second model draws weights of its own, though its layers may be called as the first's are.
    make = Maker(None if seed is None else seed + 1, conventions=chain.then.conventions)
    features = _backbone(chain.then, make)(crop)
    taps = Taps(model.input, features)
    outputs |= {name: head(task, taps, make, name) for name, task in chain.then.tasks.items()}
    return keras.Model(model.input, outputs, name="lensmith")


def _backbone(recipe: Recipe, make: Maker) -> Any:
    """Stem and learner as a model whose layers carry the prefix, so that every weight of the whole has its own name."""
    source = keras.Input(recipe.input, name="crop")
    plain = keras.Model(source, backbone(recipe, source, make), name=BACKBONE)
    return keras.models.clone_model(plain, clone_function=_with_prefix)


def _with_prefix(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config() | {"name": PREFIX + layer.name})
