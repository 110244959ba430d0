"""From what was asked for and what is in the data to the recipe that will be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lensmith import check
from lensmith.compose import Auxiliary, Binary, Classify, Localise, MultiLabel, Recipe, Regress, zoo
from lensmith.compose.detection import DETECTORS
from lensmith.compose.tasks import Pooled, Task, takes
from lensmith.compose.written import AUXILIARIES, CONVENTIONS, LEARNERS, STEMS, TASKS, from_plain, parts
from lensmith.data import Audit
from lensmith.records import Labels
from lensmith.runs import detectors
from lensmith.runs.spec import ModelSpec

LARGEST_OWN_SIZE = 128  # images of one size up to this are taken as they are, others become squares of it

_BY_KIND: Mapping[str, str] = {
    "class": "classify",
    "classes": "multi-label",
    "number": "regress",
    "boxes": "yolo-v3-tiny",
    "points": "localise",
}
_COUNTED = {"classify": "classes", "multi-label": "classes", "regress": "values"}
_COUNTED |= dict.fromkeys(("yolo-v1", "yolo-v2", "yolo-v3", "yolo-v3-tiny", "yolo-maps"), "classes")
_SHARED = ("pool", "hidden", "dropout", "activation")


def image_size(audit: Audit, usual: tuple[int, ...] = ()) -> tuple[int, int, int] | None:
    """The input size for these images when nobody named one; None for rows.

    Args:
        audit: of the images. Those of one size up to 128 pixels are taken as they are.
        usual: the input of a trained backbone, which others become as large as; without one, squares of 128 pixels.
    """
    if audit.heights is None or audit.widths is None or audit.channels is None:
        return None
    (low, height, high), (left, width, right) = audit.heights, audit.widths
    if low == high and left == right and max(height, width) <= LARGEST_OWN_SIZE:
        return int(height), int(width), audit.channels
    tall, wide = usual[:2] if len(usual) == 3 else (LARGEST_OWN_SIZE, LARGEST_OWN_SIZE)
    return tall, wide, audit.channels


def batch_size(examples: int) -> int:
    """Examples a step when nobody said: 32, or as few as give eight steps an epoch, but at least 4.

    With fewer steps the moving averages of batch normalisation would lag behind the weights.

    >>> [batch_size(examples) for examples in (10, 100, 1000)]
    [4, 12, 32]
    """
    return min(32, max(4, examples // 8))


def resolve(model: ModelSpec, shape: tuple[int, ...], labels: Mapping[str, Labels]) -> Recipe:
    """The recipe a spec asks for, its input and its heads fitted to the data.

    Args:
        model: the spec's section; a zoo name brings a stem, a learner and the style of its head.
        shape: of one example as the model will see it.
        labels: by task.

    Raises:
        SettingError: names the part; a task without labels, or a head that does not fit them.
    """
    if isinstance(model.learner, str):
        start = _start(model, model.learner, shape, labels)
    else:
        start = Recipe(
            input=shape,
            stem=None,
            learner=from_plain("model.learner", model.learner, LEARNERS),
            tasks={"label": Classify(2)},
        )
    if ("stem" in model.model_fields_set and not isinstance(model.learner, str)) or model.stem is not None:
        start = replace(start, stem=from_plain("model.stem", model.stem, STEMS))
    if model.conventions is not None:
        start = replace(start, conventions=from_plain("model.conventions", model.conventions, CONVENTIONS))
    style = next(iter(start.tasks.values()))
    wanted = model.tasks if model.tasks is not None else dict.fromkeys(labels)
    make = partial(_head, labels=labels, style=style, start=start, shape=shape)
    tasks = {task: make(f"model.tasks.{task}", task, asked) for task, asked in wanted.items()}
    return replace(start, input=shape, tasks=tasks, auxiliaries=_auxiliaries(model, start, tasks))


def _start(model: ModelSpec, name: str, shape: tuple[int, ...], labels: Mapping[str, Labels]) -> Recipe:
    """The row of the zoo: the one asked for, or one that suits the data."""
    if "learner" not in model.model_fields_set and len(shape) == 3 and detectors.wanted(model, labels):
        return detectors.start(shape)
    return zoo.get("dense-regressor" if name == "compact" and len(shape) == 1 else name)


def _auxiliaries(model: ModelSpec, start: Recipe, tasks: Mapping[str, Task]) -> tuple[Auxiliary, ...]:
    """Those asked for, else those of the zoo's row: on the first task where the data have no task of that name."""
    if model.auxiliaries is not None:
        return parts("model.auxiliaries", model.auxiliaries, AUXILIARIES)  # type: ignore[no-any-return]
    if any(isinstance(task, DETECTORS) for task in tasks.values()):  # whose heads read taps, and need no help
        return ()
    return tuple(one if one.task in tasks else replace(one, task=next(iter(tasks))) for one in start.auxiliaries)


def _head(
    place: str,
    task: str,
    asked: Any,
    *,
    labels: Mapping[str, Labels],
    style: Task,
    start: Recipe,
    shape: tuple[int, ...],
) -> Task:
    found = labels[check.one_of(place, task, labels, "Name tasks as the labels are named")]
    if found.kind not in _BY_KIND:
        others = [name for name, one in labels.items() if one.kind in _BY_KIND]
        ways = " or ".join(f"--read labels={name}" for name in others)
        remedy = f"Read another task alone: {ways}" if others else "A run does not train it yet"
        raise check.SettingError(check.sentence(place, "labels of classes, numbers or boxes", found.kind, remedy))
    count = len(found.names)
    if asked is None and found.kind == "boxes":
        return detectors.usual_head(start, shape, count)
    if asked is None:
        return _in_style(style, found.kind, count)
    plain = {"part": asked} if isinstance(asked, str) else dict(asked)
    if counted := _COUNTED.get(plain.get("part", "")):
        plain.setdefault(counted, count)
    head: Task = from_plain(place, plain, TASKS)
    _check_fits(place, head, found, count)
    return head


def _in_style(style: Task, kind: str, count: int) -> Task:
    """A head for these labels with the pooling, hidden layers and dropout of the zoo's own."""
    if kind == "class" and isinstance(style, Binary) and count == 2:
        return style
    shared = {name: getattr(style, name) for name in _SHARED} if isinstance(style, Pooled) else {}
    if kind == "points":
        return Localise(points=count, **shared)
    if kind == "number":
        return Regress(count, **shared)
    return Classify(count, **shared) if kind == "class" else MultiLabel(count, **shared)


def _check_fits(place: str, head: Task, labels: Labels, count: int) -> None:
    if takes(head, labels.kind, count):
        return
    if head.kind != labels.kind:
        known = "a detector such as yolo-v3-tiny or localise" if labels.kind == "boxes" else _BY_KIND[labels.kind]
        expected = f"{known}, as the labels are"
        raise check.SettingError(check.sentence(place, expected, type(head).__name__.lower()))
    names = ", ".join(labels.names[:4]) + (", …" if count > 4 else "")
    expected = f"a head for the {count} labels ({names})"
    raise check.SettingError(
        check.sentence(place, expected, f"one for {2 if isinstance(head, Binary) else head.units}")
    )
