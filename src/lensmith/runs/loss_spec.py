"""A stage's sections ``losses`` and ``taps``: what its tasks are trained for, where that is not the usual.

losses: {label: {loss: focal, smoothing: 0.1, class_weights: balanced, metrics: [accuracy, "mine.py:f_score"]}}
taps: {P3: {loss: "mine.py:sparsity", weight: 0.01}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lensmith import check
from lensmith.records import Labels
from lensmith.runs import custom
from lensmith.runs.data_spec import Section
from lensmith.train.focal import Focal
from lensmith.train.losses import balanced
from lensmith.train.objective import Objective, loss_of, metrics_of

# One loss in two forms of targets; which of them there are is not for the user to know.
_CROSSENTROPIES = ("sparse_categorical_crossentropy", "categorical_crossentropy")


class PartSpec(Section):
    """One of several losses, and how much it counts; a bare name is enough."""

    loss: str
    weight: float = Field(1.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"loss": value} if isinstance(value, str) else value


class LossSpec(Section):
    """What one task is trained for and judged by; a bare loss is enough. What is left out is as usual for the task.

    A loss is Keras' name of it, ``focal``, or a function or Keras loss in a file of one's own, as in
    ``mine.py:my_loss``; or several, each with a ``weight``. Metrics likewise.
    ``weight`` is the task's share where there are several tasks. ``gamma`` and ``alpha`` are those of ``focal``.
    ``class_weights`` are by class, 1 for those left out; ``balanced`` takes them from the training part, so that
    each class counts the same.
    """

    loss: str | Annotated[tuple[PartSpec, ...], Field(min_length=1)] | None = None
    weight: float | None = Field(None, ge=0)
    smoothing: float = Field(0.0, ge=0, lt=1)
    gamma: float | None = Field(None, ge=0)
    alpha: float | None = Field(None, ge=0, le=1)
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    metrics: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"loss": value} if isinstance(value, str) else value

    @field_validator("class_weights", mode="before")
    @classmethod
    def _names_of_digits(cls, value: Any) -> Any:
        # A class called 0 is a number in YAML.
        return {str(name): weight for name, weight in value.items()} if isinstance(value, dict) else value

    @field_validator("metrics", mode="before")
    @classmethod
    def _bare_metric(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def parts(self) -> tuple[PartSpec, ...]:
        """Its losses, also where there is one."""
        return (PartSpec(loss=self.loss),) if isinstance(self.loss, str) else self.loss or ()


class TapSpec(Section):
    """A loss that reads feature maps, in a file of one's own: a function of ``(y_true, maps)``.

    It gives one number, or one for each image. ``y_true`` are the targets of ``task`` as they are, such as class
    indices, or None where no task is named.
    """

    loss: str
    weight: float = Field(1.0, ge=0)
    task: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"loss": value} if isinstance(value, str) else value


def references(losses: Mapping[str, LossSpec], taps: Mapping[str, TapSpec]) -> tuple[str, ...]:
    """Every name in these sections that means code in a file, each once, in order."""
    names = [part.loss for spec in losses.values() for part in spec.parts]
    names += [metric for spec in losses.values() for metric in spec.metrics or ()]
    names += [spec.loss for spec in taps.values()]
    return tuple(dict.fromkeys(name for name in names if custom.is_reference(name)))


def objectives(
    own: Mapping[str, Objective],
    losses: Mapping[str, LossSpec],
    taps: Mapping[str, TapSpec],
    *,
    labels: Mapping[str, Labels],
    counts: Mapping[str, Sequence[int]],
    folder: Path,
    place: str = "",
) -> Mapping[str, Objective]:
    """The usual objectives, changed as the sections say. Code that they name is run here.

    Args:
        own: the usual ones, by task; auxiliary heads among them, which learn what their task learns.
        losses: by task.
        taps: by the name of the tap's output.
        labels: of each task.
        counts: how many examples of the training part have each class, by task.
        folder: where relative paths of code begin.
        place: what stands before the names of settings in messages, such as ``train[0].``

    Returns:
        The objectives by output, those of taps last.

    Raises:
        SettingError: a task, a class or a piece of code is unknown, or settings do not go together.
    """
    heads = [task for task, objective in own.items() if objective.target is None]
    made = dict(own)
    for task, spec in losses.items():
        check.one_of(f"{place}losses", task, heads)
        where = f"{place}losses.{task}"
        made[task] = _placed(where, own[task], _changes(where, spec, own[task], labels[task], counts.get(task), folder))
    for name, objective in own.items():
        leader = objective.target
        if leader is not None and leader in losses:
            made[name] = _followed(objective, own[leader], made[leader])
    for name, tap in taps.items():
        made[name] = _tapped(f"{place}taps.{name}", name, tap, heads, own, folder)
    return made


def _placed(where: str, objective: Objective, changes: Mapping[str, Any]) -> Objective:
    """The objective with these changes, if there are such losses and metrics and they go together."""
    try:
        changed = replace(objective, **changes)
        loss_of(changed)
        metrics_of(changed)
        return changed
    except check.SettingError as error:
        raise check.SettingError(f"{where}.{error}") from None


def _changes(
    where: str, spec: LossSpec, own: Objective, labels: Labels, counts: Sequence[int] | None, folder: Path
) -> dict[str, Any]:
    """The fields in which an objective differs from the usual one."""
    found: dict[str, Any] = {"smoothing": spec.smoothing}
    if spec.loss is not None:
        found["loss"] = _loss(where, spec, own, folder)
    elif spec.gamma is not None or spec.alpha is not None:
        raise check.SettingError(check.sentence(f"{where}.loss", "focal, which has gamma and alpha", "the usual loss"))
    if spec.weight is not None:
        found["weight"] = spec.weight
    if spec.metrics is not None:
        found["metrics"] = tuple(_metric(f"{where}.metrics", name, folder) for name in spec.metrics)
    if spec.class_weights is not None:
        found["class_weights"] = _class_weights(f"{where}.class_weights", spec.class_weights, labels, counts)
    return found


def _loss(where: str, spec: LossSpec, own: Objective, folder: Path) -> Any:
    names = [part.loss for part in spec.parts]
    if "focal" not in names and (spec.gamma is not None or spec.alpha is not None):
        expected = "focal, which has gamma and alpha"
        raise check.SettingError(check.sentence(f"{where}.loss", expected, ", ".join(names)))
    made = [_one_loss(f"{where}.loss", name, spec, own, folder) for name in names]
    if isinstance(spec.loss, str):
        return made[0]
    return tuple((loss, part.weight) for loss, part in zip(made, spec.parts, strict=True))


def _one_loss(where: str, name: str, spec: LossSpec, own: Objective, folder: Path) -> Any:
    if custom.is_reference(name):
        return _code(where, name, folder, custom.as_loss)
    if name in _CROSSENTROPIES and own.loss in _CROSSENTROPIES:
        return own.loss
    if name != "focal":
        return name
    gamma = Focal().gamma if spec.gamma is None else spec.gamma
    return Focal(gamma, spec.alpha)


def _metric(where: str, name: str, folder: Path) -> Any:
    return _code(where, name, folder, custom.as_metric) if custom.is_reference(name) else name


def _code(where: str, name: str, folder: Path, kind: Any) -> Any:
    try:
        return kind(custom.load(name, folder), name)
    except check.SettingError as error:
        raise check.SettingError(f"{where}: {error}") from error


def _class_weights(
    where: str, wanted: str | Mapping[str, float], labels: Labels, counts: Sequence[int] | None
) -> tuple[float, ...]:
    if labels.kind not in ("class", "classes", "mask"):
        raise check.SettingError(check.sentence(where, "a task of classes", f"labels of the kind {labels.kind!r}"))
    if not isinstance(wanted, Mapping):
        if counts is None or not sum(counts):
            remedy = "Write the weights by class"
            raise check.SettingError(check.sentence(where, "counts of classes to balance", "none", remedy))
        return balanced(counts)
    for name in wanted:
        check.one_of(where, name, labels.names)
    return tuple(wanted.get(name, 1.0) for name in labels.names)


def _followed(helper: Objective, usual: Objective, changed: Objective) -> Objective:
    """The objective of an auxiliary head, which learns what its task learns, at the same share of it."""
    share = helper.weight / usual.weight if usual.weight else 1.0
    return replace(
        helper,
        loss=changed.loss,
        weight=changed.weight * share,
        class_weights=changed.class_weights,
        smoothing=changed.smoothing,
    )


def _tapped(
    where: str, name: str, tap: TapSpec, heads: Sequence[str], own: Mapping[str, Objective], folder: Path
) -> Objective:
    if name in own:
        raise check.SettingError(check.sentence(where, "a name that no task has", repr(name)))
    if tap.task is not None:
        check.one_of(f"{where}.task", tap.task, heads)
    if not custom.is_reference(tap.loss):
        expected = "a function in a file of one's own, as in 'mine.py:sparsity'"
        raise check.SettingError(check.sentence(f"{where}.loss", expected, repr(tap.loss)))
    loss = _code(f"{where}.loss", tap.loss, folder, custom.as_loss)
    return Objective(loss=loss, weight=tap.weight, target=tap.task, tap=True)
