"""The spec: one YAML file that says what to train, on what and how. Checked before any work begins.

data: {source: photos/, image: [64, 64, 3]}
model: {learner: resnet18-v2, tasks: {species: classify}}
train:
  - {stage: fit, epochs: 30, schedule: cosine, stop: {monitor: val_loss, patience: 5}}
ship: {format: onnx}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from lensmith import check, train
from lensmith.compose import Recipe
from lensmith.runs import lines
from lensmith.runs.data_spec import DataSpec, Section, placed_in

# What may be changed in a run that has begun, since it does not change what is computed.
HOUSEKEEPING = ("train[0].checkpoint_every", "train[0].keep", "data.cache", "data.memory")


class WeightsSpec(Section):
    """Weights to begin with, all but those of the heads; a bare source is enough.

    ``source`` is the name of published weights such as ``imagenet``, a file, or a folder with a run or a saved model;
    ``row`` is the row of the zoo whose names the file's weights have, by default the learner's.
    """

    source: str
    row: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_source(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


class ModelSpec(Section):
    """A zoo name, or parts written out; a bare zoo name is enough. Tasks left out are taken from the labels.

    Conventions and auxiliaries left out are those of the zoo's row, or the usual ones and none.
    """

    learner: str | dict[str, Any] | None = "compact"
    stem: str | dict[str, Any] | None = None
    tasks: dict[str, str | dict[str, Any]] | None = None
    conventions: dict[str, Any] | None = None
    auxiliaries: list[dict[str, Any]] | None = None
    weights: WeightsSpec | None = None

    @staticmethod
    def of(recipe: Recipe) -> ModelSpec:
        """The section that writes this recipe out."""
        plain = recipe.to_dict()
        return ModelSpec(**{name: value for name, value in plain.items() if name != "input"})

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"learner": value} if isinstance(value, str) else value


class PatienceSpec(Section):
    """When to stop early."""

    monitor: str | None = None
    patience: int = Field(5, ge=1)
    min_delta: float = Field(0.0, ge=0)
    mode: Literal["auto", "min", "max"] = "auto"


class ScheduleSpec(Section):
    """How the learning rate goes on; a bare name such as ``cosine`` is enough."""

    name: Literal["constant", "cosine"] = "cosine"
    final: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def to_record(self) -> train.Constant | train.Cosine:
        return train.Cosine(self.final) if self.name == "cosine" else train.Constant()


class FitSpec(Section):
    """One training stage; see :class:`lensmith.train.Fit`."""

    stage: Literal["fit"] = "fit"
    epochs: int = Field(train.Fit().epochs, ge=1)
    optimizer: str | dict[str, Any] = "adam"
    rate: float = Field(train.Fit().rate, gt=0)
    schedule: ScheduleSpec = ScheduleSpec()
    stop: PatienceSpec | None = None
    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    restore_best: bool = True
    checkpoint_every: int | None = Field(None, ge=1)
    keep: int = Field(2, ge=1)
    freeze: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = Field(None, min_length=1)

    @field_validator("freeze", "tasks", mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @staticmethod
    def from_stage(stage: train.Fit) -> FitSpec:
        """The section that gives this stage again."""
        values = stage.to_dict()
        return FitSpec.model_validate(values)

    def to_stage(self) -> train.Fit:
        """The record that the training loop takes."""
        return train.Fit(
            epochs=self.epochs,
            optimizer=self.optimizer,
            rate=self.rate,
            schedule=self.schedule.to_record(),
            stop=train.Patience(**self.stop.model_dump()) if self.stop else None,
            monitor=self.monitor,
            mode=self.mode,
            restore_best=self.restore_best,
            checkpoint_every=self.checkpoint_every,
            keep=self.keep,
            freeze=self.freeze or (),
            tasks=self.tasks,
        )


class ShipSpec(Section):
    """What to make of the trained model."""

    format: Literal["onnx"] = "onnx"


class Spec(Section):
    """The whole of it. ``seed`` governs initial weights, dropout and the order of the images."""

    data: DataSpec
    model: ModelSpec = ModelSpec()
    train: tuple[FitSpec, ...] = Field((FitSpec(),), min_length=1, max_length=1)
    ship: ShipSpec | None = ShipSpec()
    seed: int = Field(0, ge=0)

    _origin: tuple[str, str] | None = PrivateAttr(None)  # the name and the text of the file it was read from

    def to_yaml(self) -> str:
        """The spec with every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=110)

    def located(self, message: str) -> str:
        """A message that begins with a setting's name, with the file and the line of that setting before it."""
        place = message.partition(":")[0]
        if self._origin is None or not place.startswith(("data.", "model.", "train")):
            return message
        name, text = self._origin
        return f"{name}, line {lines.line_of(text, lines.parts_of(place))}: {message}"


def read_spec(path: Path) -> Spec:
    """Read a spec file; relative paths are taken from the file's own folder.

    Raises:
        SettingError: the file is missing, not YAML, or a setting is unknown or wrong; names the line.
    """
    spec = read_run_spec(path)
    changed: dict[str, Any] = {"data": placed_in(spec.data, path.parent)}
    if spec.model.weights is not None and (there := path.parent / spec.model.weights.source).exists():
        begun = spec.model.weights.model_copy(update={"source": str(there.absolute())})
        changed["model"] = spec.model.model_copy(update={"weights": begun})
    return spec.model_copy(update=changed)


def read_run_spec(path: Path) -> Spec:
    """Read a spec file as it stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise check.SettingError(f"{path}: the spec cannot be read: {error}") from None
    return parse_spec(text, str(path))


def parse_spec(text: str, name: str = "spec") -> Spec:
    """The spec that ``text`` describes; ``name`` is what messages call it."""
    values = lines.load(text, name)
    try:
        spec = Spec.model_validate(values)
    except ValidationError as error:
        raise check.SettingError(lines.explain(error, text, name, Spec)) from None
    spec._origin = name, text
    return spec


S = TypeVar("S", bound=Section)


def validated(kind: type[S], values: dict[str, Any]) -> S:
    """A section made of values that no file holds.

    Raises:
        SettingError: one is wrong; names it.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = lines.dotted(first["loc"])
        raise check.SettingError(check.sentence(place, lines.said(first["msg"]), repr(first["input"]))) from None


def changes(before: Any, now: Any, place: str = "") -> str:
    """The first setting in which two written-out specs differ, but for what may be changed; empty if none."""
    if place in HOUSEKEEPING or before == now:
        return ""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{place}.{key}".removeprefix("."), before.get(key), now.get(key)) for key in {**before, **now}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{place}[{i}]", *pair) for i, pair in enumerate(zip(before, now, strict=True))]
    else:
        return place
    return next((found for name, old, new in pairs if (found := changes(old, new, name))), "")
