"""The spec's schedules: a bare name such as ``cosine``, or a name and its settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lensmith import train
from lensmith.runs.data_spec import Section
from lensmith.train import schedules

By = Literal["epoch", "step"]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ScheduleSpec(Section):
    """What all of them share: the fields are those of the record of the same name."""

    name: str

    def to_record(self) -> schedules.Schedule:
        """The record that the training loop takes."""
        return schedules.SCHEDULES[self.name](**self.model_dump(exclude={"name"}))


class ConstantSpec(ScheduleSpec):
    name: Literal["constant"] = "constant"


class DecaySpec(ScheduleSpec):
    """What the rates share that fall by the same law all the time."""

    decay: Amount
    by: By = "epoch"


class LinearSpec(DecaySpec):
    name: Literal["linear"] = "linear"


class TimeSpec(DecaySpec):
    name: Literal["time"] = "time"


class StepSpec(ScheduleSpec):
    name: Literal["step"] = "step"
    decay: Share = train.Step().decay
    every: int = Field(train.Step().every, ge=1)
    by: By = "epoch"


class ExponentialSpec(DecaySpec):
    name: Literal["exponential"] = "exponential"


class CosineSpec(ScheduleSpec):
    name: Literal["cosine"] = "cosine"
    final: Share = 0.0
    restarts: int = Field(0, ge=0, le=100)
    growth: float = Field(1.0, ge=1, le=100)
    shrink: Share = 1.0
    by: By = "step"


class PlateauSpec(ScheduleSpec):
    name: Literal["plateau"] = "plateau"
    factor: float = Field(train.Plateau().factor, gt=0, lt=1)
    patience: int = Field(train.Plateau().patience, ge=1)
    monitor: str | None = None
    min_delta: Amount = 0.0
    mode: Literal["auto", "min", "max"] = "auto"
    floor: Share = 0.0


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


AnySchedule = Annotated[
    Annotated[
        ConstantSpec | LinearSpec | TimeSpec | StepSpec | ExponentialSpec | CosineSpec | PlateauSpec,
        Field(discriminator="name"),
    ],
    BeforeValidator(_named),
]
