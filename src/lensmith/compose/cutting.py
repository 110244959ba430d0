"""Cut the last layers off a model and put heads on: transfer learning with any model made of connected layers.

>>> from lensmith.compose import Classify, Dense, Recipe
>>> base = without_last(Recipe((784,), None, Dense((32, 32)), {"digit": Classify(10)}).build(seed=0), "task")
>>> base.count_params(), with_head(base, {"letter": Classify(26)}, seed=0).count_params()
(26176, 27034)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lensmith import check, trainable
from lensmith.backend import keras
from lensmith.compose import graph, views
from lensmith.compose.detection import Taps
from lensmith.compose.graph import Call, Tensor
from lensmith.compose.layers import Maker
from lensmith.compose.recipe import Recipe, head
from lensmith.compose.tasks import Task

_OF_A_TASK = re.compile(r"task-([A-Za-z0-9_]+)-")


def without_last(model: Any, last: int | str = 1) -> Any:
    """A view of the model without its last layers: it ends with what the first of these is called on.

    Args:
        model: any model made of connected layers; models inside it are opened.
        last: how many layers that have weights to cut off, with all that comes after them; or the name of a layer or
            part, or a pattern (``task``, ``task-label``, ``fc*``): these and all that is computed from them.

    Returns:
        A ``keras.Model`` of one output that shares its layers with the model.

    Raises:
        SettingError: there are not so many layers or none of that name; an output would stay; or the cut goes through
            several tensors, as in the middle of a block with a shortcut.
    """
    model = graph.flat(model)
    steps = graph.calls(model)
    first = _named(steps, last) if isinstance(last, str) else _counted(steps, last)
    cut = _joined(steps, _and_after(steps, first))
    gone = {id(tensor) for call in cut for tensor in call.outputs}
    staying = [tensor for tensor in graph.outputs_of(model) if id(tensor) not in gone]
    if staying:
        names = ", ".join(graph.giver(tensor, steps).layer.name for tensor in staying)
        remedy = "Name all heads, as with without_last(model, 'task')"
        raise check.SettingError(check.sentence("without_last", "a cut before every output", f"{names} left", remedy))
    ends = _ends(cut)
    if len(ends) != 1:
        names = ", ".join(graph.giver(tensor, steps).layer.name for tensor in ends) or "the whole model"
        remedy = "Cut before a layer that everything passes through"
        raise check.SettingError(check.sentence("without_last", "a cut through one tensor", names, remedy))
    return keras.Model(model.input, ends[0], name="cut")


def with_head(model: Any, tasks: Task | Mapping[str, Task], *, seed: int | None = None) -> Any:
    """The model with heads on its output; they share all its layers.

    Args:
        model: one output without a head of its own: feature maps, ``(batch, height, width, channels)``, or vectors.
        tasks: the heads by name, as in a recipe; a single one is named ``label``.
        seed: of the heads' initial weights; None draws one from Python's global generator.

    Returns:
        A ``keras.Model`` whose output is the probabilities of each task, its heads' layers named ``task-NAME-…``.

    Raises:
        SettingError: the model has heads or several outputs; a task is wrong, or its name is taken.
    """
    model = graph.connected(model)
    heads = tasks if isinstance(tasks, Mapping) else {"label": tasks}
    heads = Recipe(input=(1,), stem=None, learner=None, tasks=heads).tasks  # refuses wrong ones
    x = _headless(model, heads)
    make = Maker(seed)
    outputs = {name: head(task, Taps(model.input, x), make, name) for name, task in heads.items()}
    return keras.Model(model.input, outputs if len(outputs) > 1 else next(iter(outputs.values())), name="lensmith")


def _named(steps: tuple[Call, ...], pattern: str) -> set[int]:
    names = [call.layer.name for call in steps if call.inputs]
    if not any(trainable.matches(pattern, name) for name in names):
        parts = dict.fromkeys(part for name in names for part in trainable.parts_of(name))
        remedy = check.nearest(pattern, parts)
        raise check.SettingError(check.sentence("without_last", "a layer or part of the model", repr(pattern), remedy))
    return {id(call.layer) for call in steps if call.inputs and trainable.matches(pattern, call.layer.name)}


def _counted(steps: tuple[Call, ...], count: int) -> set[int]:
    check.positive("without_last", count)
    weighted = list(dict.fromkeys(id(call.layer) for call in steps if getattr(call.layer, "weights", ())))
    if count >= len(weighted):
        expected = f"at most {len(weighted) - 1}, since {len(weighted)} layers have weights"
        raise check.SettingError(check.sentence("without_last", expected, count))
    return set(weighted[-count:])


def _and_after(steps: tuple[Call, ...], layers: set[int]) -> list[Call]:
    """The calls of these layers and all that are computed from them."""
    gone: set[int] = set()
    found = []
    for call in steps:
        if id(call.layer) in layers or any(id(tensor) in gone for tensor in call.inputs):
            gone |= {id(tensor) for tensor in call.outputs}
            found.append(call)
    return found


def _ends(cut: list[Call]) -> list[Tensor]:
    """The tensors that the cut calls take from the others."""
    gone = {id(tensor) for call in cut for tensor in call.outputs}
    found = {id(tensor): tensor for call in cut for tensor in call.inputs if id(tensor) not in gone}
    return list(found.values())


def _joined(steps: tuple[Call, ...], cut: list[Call]) -> list[Call]:
    """The cut, moved up past layers without weights (paddings, activations) as long as it has several ends."""
    while len(ends := {id(tensor) for tensor in _ends(cut)}) > 1:
        kept = [call for call in steps if not any(call is gone for gone in cut)]
        needed = {id(tensor) for call in kept for tensor in call.inputs}
        more = [
            call
            for call in kept
            if call.inputs
            and not getattr(call.layer, "weights", ())
            and any(id(tensor) in ends for tensor in call.outputs)
            and not any(id(tensor) in needed for tensor in call.outputs)
        ]
        if not more:
            break
        cut = [*more, *cut]
    return cut


def _headless(model: Any, heads: Mapping[str, Task]) -> Any:
    """The model's output, if heads can be put on it."""
    outputs = graph.outputs_of(model)
    last = [graph.giver(tensor, graph.calls(model)).layer for tensor in outputs]
    if len(outputs) != 1 or views.heads_found(model) or views.activation_of(last[0]) == "softmax":
        got = ", ".join(layer.name for layer in last)
        remedy = "Cut its head off first, with without_last(model, 'task') or without_last(model)"
        raise check.SettingError(check.sentence("with_head", "a model with one output and no head", got, remedy))
    taken = {match[1] for layer in model.layers if (match := _OF_A_TASK.match(layer.name))}
    for name in heads:
        if name in taken:
            expected = f"a name other than that of the layers task-{name}-… in the model"
            raise check.SettingError(check.sentence("with_head", expected, name))
    if len(outputs[0].shape) not in (2, 4):
        expected = "feature maps or vectors"
        raise check.SettingError(check.sentence("with_head", expected, f"shape {tuple(outputs[0].shape[1:])}"))
    return outputs[0]
