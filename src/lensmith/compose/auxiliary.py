"""Auxiliary heads: further classifiers on earlier feature maps, there for training only.

They send the error to the first layers on a shorter way (Szegedy et al. 2015, Going Deeper with Convolutions,
section 5). A recipe names them; only the model for training has them, as outputs ``label_aux1``, ``label_aux2``, …
beside the task ``label``, their layers named ``task-label_aux1-…``. What is saved and shipped has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.blocks import Pool
from lensmith.compose.heads import build_head
from lensmith.compose.layers import Maker, Tensor, check_activation, check_image, check_widths
from lensmith.compose.parts import Group, Groups
from lensmith.compose.tasks import Binary, Classify, Localise, MultiLabel, Regress, Task

_NAME = re.compile(r"([A-Za-z0-9_]+)_aux\d+")
_DENSE = (Classify, Binary, MultiLabel, Regress, Localise)  # heads that end in a fully connected layer
_POOL = Pool(5, 3, "average")


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A second head for a task, on earlier feature maps: pool, 1×1 convolution, fully connected layers, logits.

    The defaults are GoogLeNet's.

    Args:
        task: whose labels it is trained on, and whose kind of output it has.
        tap: the part of the model whose feature maps it reads, such as ``learner-group2-block1``.
        weight: of its loss, as a share of the task's own.
        pool: before the convolution; None leaves it out, a whole number is a max pool of that window.
        filters: of the 1×1 convolution; None leaves it out.
        hidden: widths of fully connected layers before the logits.
        dropout: share dropped after each hidden layer, 0..1.
        activation: after the convolution and the hidden layers.
    """

    task: str
    tap: str
    weight: float = 0.3
    pool: Pool | int | None = _POOL
    filters: int | None = 128
    hidden: tuple[int, ...] = (1024,)
    dropout: float = 0.7
    activation: str = "relu"

    def __post_init__(self) -> None:
        for name in ("task", "tap"):
            if not isinstance(getattr(self, name), str):
                raise check.SettingError(check.sentence(f"auxiliary.{name}", "a name", repr(getattr(self, name))))
        check.between("auxiliary.weight", self.weight, 0.0, 1e6)
        if self.pool is not None and not isinstance(self.pool, Pool):
            object.__setattr__(self, "pool", Pool(check.positive("auxiliary.pool", self.pool)))
        if self.filters is not None:
            check.positive("auxiliary.filters", self.filters)
        object.__setattr__(self, "hidden", check_widths("auxiliary.hidden", self.hidden))
        check.between("auxiliary.dropout", self.dropout, 0.0, 1.0)
        check_activation("auxiliary.activation", self.activation)


def named(auxiliaries: Sequence[Auxiliary]) -> dict[str, Auxiliary]:
    """The auxiliaries by the name of their output, each task's counted from 1.

    >>> list(named((Auxiliary("label", "stem"), Auxiliary("age", "stem"), Auxiliary("label", "stem"))))
    ['label_aux1', 'age_aux1', 'label_aux2']
    """
    found: dict[str, Auxiliary] = {}
    for one in auxiliaries:
        number = 1 + sum(other.task == one.task for other in found.values())
        found[f"{one.task}_aux{number}"] = one
    return found


def check_auxiliaries(auxiliaries: Any, tasks: Mapping[str, Task], learner: Any) -> tuple[Auxiliary, ...]:
    """The auxiliaries as a tuple, if each has a task with a head of its kind, and a part to read.

    Raises:
        SettingError: names the auxiliary and what it cannot have; the nearest names are suggested.
    """
    if not isinstance(auxiliaries, list | tuple) or not all(isinstance(one, Auxiliary) for one in auxiliaries):
        raise check.SettingError(check.sentence("auxiliaries", "a list of Auxiliary records", repr(auxiliaries)))
    known = _blocks(learner)
    for i, one in enumerate(auxiliaries):
        head = tasks[check.one_of(f"auxiliaries[{i}].task", one.task, tasks)]
        if not isinstance(head, _DENSE):
            expected = "a task whose head ends in a fully connected layer"
            raise check.SettingError(check.sentence(f"auxiliaries[{i}].task", expected, type(head).__name__))
        if known:
            _check_tap(f"auxiliaries[{i}].tap", one.tap, known)
    taken = sorted(named(auxiliaries).keys() & tasks.keys())
    if taken:
        raise check.SettingError(f"tasks: the name {taken[0]!r} belongs to an auxiliary head; rename the task")
    return tuple(auxiliaries)


def build_auxiliaries(
    auxiliaries: Sequence[Auxiliary], tasks: Mapping[str, Task], trunk: Any, make: Maker
) -> dict[str, Tensor]:
    """Add the heads to a trunk, the model from the input to the learner's end; their outputs by name."""
    outputs = {}
    for name, one in named(auxiliaries).items():
        x = _tapped(f"auxiliary {name}", one.tap, trunk)
        own: Any = tasks[one.task]  # of a kind that check_auxiliaries lets pass
        head = replace(own, pool="flatten", hidden=one.hidden, dropout=one.dropout, activation=one.activation)
        outputs[name] = build_head(head, _reduced(one, x, make, f"task-{name}"), make, name)
    return outputs


def without_auxiliaries(model: Any) -> Any:
    """The view of a model for training that has no auxiliary heads; it shares all its layers.

    It is what the recipe builds without them, and what is saved and shipped. A model that has none is returned as it
    is.
    """
    if not isinstance(model.output, Mapping):
        return model
    outputs = {name: tensor for name, tensor in model.output.items() if not _is_auxiliary(name, model.output)}
    if len(outputs) == len(model.output):
        return model
    return keras.Model(model.input, outputs if len(outputs) > 1 else next(iter(outputs.values())), name=model.name)


def _is_auxiliary(name: str, outputs: Mapping[str, Any]) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match[1] in outputs


def _blocks(learner: Any) -> tuple[str, ...]:
    """The parts of a learner that can be known before it is built: those of groups of blocks."""
    if not isinstance(learner, Groups):
        return ()
    return tuple(name for i, group in enumerate(learner.groups, start=1) for name in _of_group(group, i))


def _of_group(group: Group, number: int) -> tuple[str, ...]:
    blocks = range(1, len(group.each_block) + 1)
    return (f"learner-group{number}", *(f"learner-group{number}-block{block}" for block in blocks))


def _check_tap(place: str, tap: str, known: Sequence[str]) -> None:
    if tap == "stem" or tap in known:
        return
    remedy = check.nearest(tap, known)
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    raise check.SettingError(check.sentence(place, f"a part of the model ({shown})", repr(tap), remedy))


def _tapped(place: str, tap: str, trunk: Any) -> Tensor:
    """What the last layer of a part gives."""
    layers = [layer for layer in trunk.layers if layer.name == tap or layer.name.startswith(f"{tap}-")]
    if not layers:
        parts = {re.split(r"-(?=[^-]*$)", layer.name)[0] for layer in trunk.layers if "-" in layer.name}
        _check_tap(place, tap, sorted(parts))
        raise check.SettingError(check.sentence(place, "a part of the model", repr(tap)))
    return layers[-1].output


def _reduced(one: Auxiliary, x: Tensor, make: Maker, name: str) -> Tensor:
    """The pooled feature maps with fewer channels; a row of numbers stays as it is."""
    if one.pool is None and one.filters is None:
        return x
    check_image(name, x)
    if isinstance(one.pool, Pool):
        x = one.pool.build(x, make, f"{name}-reduce")
    if one.filters is None:
        return x
    return make.activation(make.conv(x, f"{name}-conv", one.filters, 1, bias=True), f"{name}-relu", one.activation)
