"""The spec: one YAML file that says what to train, on what and how. Checked before any work begins.

data: {source: photos/, image: [64, 64, 3]}
model: {learner: resnet18-v2, tasks: {species: classify}}
train:
  - {stage: warmup, epochs: 3}
  - {stage: fit, epochs: 30, schedule: cosine, stop: {monitor: val_loss, patience: 5}}
ship: {format: onnx}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from lensmith import check
from lensmith.compose import Recipe
from lensmith.runs import lines
from lensmith.runs.data_spec import DataSpec, Section, placed_in
from lensmith.runs.stage_specs import FitSpec, StageSpec, placed

# What may be changed in a run that has begun, since it does not change what is computed.
HOUSEKEEPING = re.compile(r"train\[\d+\]\.(checkpoint_every|keep)|data\.(cache|memory)")

# What a model computes in while it is trained; see lensmith.runs.precision.
Precision = Literal["float32", "mixed_bfloat16"]


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

    Conventions and auxiliaries left out are those of the zoo's row, or the usual ones and none. ``precision`` is what
    the model computes in while it is trained; what comes of it is always float32.
    """

    learner: str | dict[str, Any] | None = "compact"
    stem: str | dict[str, Any] | None = None
    tasks: dict[str, str | dict[str, Any]] | None = None
    conventions: dict[str, Any] | None = None
    auxiliaries: list[dict[str, Any]] | None = None
    weights: WeightsSpec | None = None
    precision: Precision = "float32"

    @staticmethod
    def of(recipe: Recipe) -> ModelSpec:
        """The section that writes this recipe out."""
        plain = recipe.to_dict()
        return ModelSpec(**{name: value for name, value in plain.items() if name != "input"})

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"learner": value} if isinstance(value, str) else value

    @field_validator("precision", mode="before")
    @classmethod
    def _needs_no_scale(cls, value: Any) -> Any:
        if value in ("mixed_float16", "float16"):
            raise ValueError("'float32' or 'mixed_bfloat16', which needs no scaling of the loss")
        return value


class ShipSpec(Section):
    """What to make of the trained model."""

    format: Literal["onnx"] = "onnx"


class Spec(Section):
    """The whole of it. ``seed`` governs initial weights, dropout and the order of the images."""

    data: DataSpec
    model: ModelSpec = ModelSpec()
    train: tuple[StageSpec, ...] = Field((FitSpec(),), min_length=1)
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
    if "train" in spec.model_fields_set:  # a plan that nobody wrote stays open, for the usual one
        changed["train"] = tuple(placed(stage, path.parent) for stage in spec.train)
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
    if HOUSEKEEPING.fullmatch(place) or before == now:
        return ""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{place}.{key}".removeprefix("."), before.get(key), now.get(key)) for key in {**before, **now}]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{place}[{i}]", *pair) for i, pair in enumerate(zip(before, now, strict=True))]
    else:
        return place
    return next((found for name, old, new in pairs if (found := changes(old, new, name))), "")
