"""Tasks: the heads of a model, and what each is trained with.

A head pools the learner's feature maps, adds hidden layers if wanted, and ends in logits (``task-NAME-logits``)
with their activation (``task-NAME-probabilities``), or for a regression in plain numbers (``task-NAME-output``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.layers import Maker, Tensor, check_activation, check_widths

HeadPool = Literal["average", "max", "flatten"]
OutputActivation = Literal["softmax", "sigmoid", "linear"]
HEAD_POOLS: tuple[HeadPool, ...] = ("average", "max", "flatten")


@dataclass(frozen=True, slots=True)
class Classify:
    """One of several classes: softmax over ``classes`` logits; targets are class indices.

    Args:
        classes: how many; at least 2.
        pool: how feature maps become a vector: global ``average``, global ``max``, or ``flatten``.
        hidden: widths of fully connected layers before the logits.
        dropout: share dropped after each hidden layer, or of the pooled vector when there is none; 0..1.
        activation: of the hidden layers.
        weight: of this task's loss among several.
    """

    kind: ClassVar[str] = "class"
    output_activation: ClassVar[OutputActivation] = "softmax"
    loss: ClassVar[str] = "sparse_categorical_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    classes: int
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("classify.classes", self.classes)
        if self.classes == 1:
            # A softmax over one unit is 1 whatever the image: a mistake of several printed listings.
            raise check.SettingError("classify.classes: one class leaves nothing to decide; use Binary() or 2 classes")
        _check_head(self, "classify")

    @property
    def units(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True)
class Binary:
    """Yes or no: a sigmoid over one logit; targets are 0 and 1. Arguments as for :class:`Classify`."""

    kind: ClassVar[str] = "class"
    output_activation: ClassVar[OutputActivation] = "sigmoid"
    loss: ClassVar[str] = "binary_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_head(self, "binary")

    @property
    def units(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class MultiLabel:
    """Any number of ``classes`` at once: a sigmoid over each logit; targets are rows of 0 and 1."""

    kind: ClassVar[str] = "classes"
    output_activation: ClassVar[OutputActivation] = "sigmoid"
    loss: ClassVar[str] = "binary_crossentropy"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    classes: int
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("multi-label.classes", self.classes)
        _check_head(self, "multi-label")

    @property
    def units(self) -> int:
        return self.classes


@dataclass(frozen=True, slots=True)
class Regress:
    """``values`` numbers, trained on the squared error. Other arguments as for :class:`Classify`."""

    kind: ClassVar[str] = "number"
    output_activation: ClassVar[OutputActivation] = "linear"
    loss: ClassVar[str] = "mean_squared_error"
    metrics: ClassVar[tuple[str, ...]] = ("mean_absolute_error",)

    values: int = 1
    pool: HeadPool = "average"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    activation: str = "relu"
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.positive("regress.values", self.values)
        _check_head(self, "regress")

    @property
    def units(self) -> int:
        return self.values


Task = Classify | Binary | MultiLabel | Regress


def _check_head(task: Task, place: str) -> None:
    check.one_of(f"{place}.pool", task.pool, HEAD_POOLS)
    object.__setattr__(task, "hidden", check_widths(f"{place}.hidden", task.hidden))
    check.between(f"{place}.dropout", task.dropout, 0.0, 1.0)
    check_activation(f"{place}.activation", task.activation)
    check.between(f"{place}.weight", task.weight, 0.0, 1e6)


def build_head(task: Task, x: Tensor, make: Maker, name: str) -> Tensor:
    """Add the head of ``task`` to the learner's output; returns probabilities, or numbers for a regression."""
    x = _pooled(task, x, f"task-{name}-pool")
    for i, width in enumerate(task.hidden, start=1):
        x = make.dense(x, f"task-{name}-dense{i}", width)
        x = make.activation(x, f"task-{name}-activation{i}", task.activation)
        x = make.dropout(x, f"task-{name}-dropout{i}", task.dropout)
    if not task.hidden:
        x = make.dropout(x, f"task-{name}-dropout", task.dropout)
    if task.output_activation == "linear":
        return make.dense(x, f"task-{name}-output", task.units)
    x = make.dense(x, f"task-{name}-logits", task.units)
    return make.activation(x, f"task-{name}-probabilities", task.output_activation)


def _pooled(task: Task, x: Tensor, name: str) -> Tensor:
    if len(x.shape) == 2:
        return x
    if task.pool == "flatten":
        return keras.layers.Flatten(name=name)(x)
    layer = keras.layers.GlobalAveragePooling2D if task.pool == "average" else keras.layers.GlobalMaxPooling2D
    return layer(name=name)(x)
