"""The spec's stages: what the plan under ``train`` is made of.

Each stage is a mapping with its kind under ``stage``; one without is a ``fit``. See :mod:`lensmith.runs.plan` for the
orders that work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from lensmith import check, data, reuse, train
from lensmith.runs import custom
from lensmith.runs.data_spec import Section, Size, augmentation
from lensmith.runs.loss_spec import LossSpec, PartSpec, TapSpec, references
from lensmith.runs.schedule_specs import AnySchedule, CosineSpec

Optimizer = str | dict[str, Any]
Rate = Annotated[float, Field(gt=0)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]

# Settings of a stage that say what it is shown, not how it learns.
SHOWN: tuple[str, ...] = ("stage", "image", "batch", "augment", "features", "teacher", "losses", "taps", "callbacks")
SHOWN += ("fall_back", "sizes")


class PatienceSpec(Section):
    """When to stop early."""

    monitor: str | None = None
    patience: int = Field(train.Patience().patience, ge=1)
    min_delta: float = Field(0.0, ge=0)
    mode: Literal["auto", "min", "max"] = "auto"


class GapDropoutSpec(Section):
    """Hidden dropout that follows the gap between training and validation; see :class:`lensmith.train.GapDropout`."""

    gain: float = Field(train.GapDropout().gain, ge=0)
    lowest: float = Field(train.GapDropout().lowest, ge=0, le=0.95)
    highest: float = Field(train.GapDropout().highest, ge=0, le=0.95)


class FeaturesSpec(Section):
    """Run what is frozen once over the data, and train the rest on what came out; see :mod:`lensmith.reuse.features`.

    ``views`` is how many augmented views are kept of each image besides itself; ``limit`` bounds the disk, in MiB.
    """

    views: int = Field(0, ge=0)
    limit: Size | None = None


class TeacherSpec(Section):
    """Learn from a trained model's answers too; see :mod:`lensmith.reuse.distillation`."""

    source: str
    temperature: float = Field(4.0, gt=0)
    share: float = Field(0.7, ge=0, le=1)


class ShownSpec(Section):
    """What a stage is shown, where that differs from what ``data`` says.

    ``augment: false`` leaves images as they are.
    """

    image: tuple[Size, Size, Size] | None = None
    batch: Size | None = None
    augment: str | dict[str, Any] | Literal[False] | None = None

    def augmentation(self, usual: data.Augment | None) -> data.Augment | None:
        """The ranges of this stage; ``usual`` where it names none.

        Raises:
            SettingError: an unknown name, or a range that is wrong.
        """
        if self.augment is None:
            return usual
        if self.augment is False:
            return None
        return augmentation(self.augment)


class DrawSpec(Section):
    """Draw initial weights several times, keep the best draw; see :class:`lensmith.train.Draw`."""

    stage: Literal["draw"] = "draw"
    draws: int = Field(train.Draw().draws, ge=2)
    steps: int = Field(train.Draw().steps, ge=1)
    rate: Rate = train.Draw().rate
    optimizer: Optimizer = "adam"

    def to_record(self) -> train.Draw:
        return train.Draw(**self.model_dump(exclude={"stage"}))


class PretextSpec(ShownSpec):
    """Train the backbone on unlabelled images; see :mod:`lensmith.reuse.pretext`.

    ``source`` left out takes the training part without its labels. ``tiles`` and ``arrangements`` belong to the
    jigsaw.
    """

    stage: Literal["pretext"] = "pretext"
    task: Literal["jigsaw", "rotation"] = "jigsaw"
    tiles: Literal[4, 9] = 4
    arrangements: int | None = Field(None, ge=2)
    source: str | None = None
    epochs: int = Field(5, ge=1)
    optimizer: Optimizer = "adam"
    rate: Rate = train.Fit().rate
    schedule: AnySchedule = CosineSpec()
    warmup: float = Field(0.0, ge=0)
    steps: Size | None = None
    checkpoint_every: Size | None = None
    keep: int = Field(2, ge=1)

    def to_record(self) -> train.Fit:
        """How the backbone is trained; what for is :meth:`to_task`."""
        own = {"task", "tiles", "arrangements", "source", "schedule"}
        values = self.model_dump(exclude={*own, *SHOWN})
        return train.Fit(**values, schedule=self.schedule.to_record(), monitor="loss", restore_best=False)

    def to_task(self) -> reuse.Jigsaw | reuse.Rotation:
        return reuse.Jigsaw(self.tiles, self.arrangements) if self.task == "jigsaw" else reuse.Rotation()


class WarmupSpec(ShownSpec):
    """Bring the rate gently from near 0 up to a target; see :class:`lensmith.train.Warmup`."""

    stage: Literal["warmup"] = "warmup"
    epochs: int = Field(train.Warmup().epochs, ge=1)
    optimizer: Optimizer = "adam"
    rate: Rate = train.Warmup().rate
    freeze: Names | None = None
    tasks: Annotated[Names, Field(min_length=1)] | None = None
    steps: Size | None = None
    accumulate: int = Field(1, ge=1)
    checkpoint_every: Size | None = None
    keep: int = Field(2, ge=1)

    def to_record(self) -> train.Fit:
        values = self.model_dump(exclude={"freeze", *SHOWN})
        return train.Warmup(**values, freeze=self.freeze or ()).to_fit()


class FitSpec(ShownSpec):
    """Train for so many epochs with one optimizer and one schedule; see :class:`lensmith.train.Fit`.

    ``losses`` changes the objectives of tasks, ``taps`` adds losses that read feature maps. ``callbacks`` are the
    user's own, as ``mine.py:Logger``. With ``fall_back`` the stage ends with the weights it began with where none of
    its epochs was better than the stage before. ``sizes`` are sides of square images, of which one is drawn anew every
    ten steps: multi-scale training.
    """

    stage: Literal["fit"] = "fit"
    epochs: int = Field(train.Fit().epochs, ge=1)
    optimizer: Optimizer = "adam"
    rate: Rate = train.Fit().rate
    schedule: AnySchedule = CosineSpec()
    warmup: float = Field(0.0, ge=0)
    stop: PatienceSpec | None = None
    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    restore_best: bool = True
    checkpoint_every: Size | None = None
    keep: int = Field(2, ge=1)
    freeze: Names | None = None
    tasks: Annotated[Names, Field(min_length=1)] | None = None
    steps: Size | None = None
    accumulate: int = Field(1, ge=1)
    average: float | None = Field(None, ge=0, lt=1)
    hold_norms: bool = False
    dropout: GapDropoutSpec | None = None
    features: FeaturesSpec | None = None
    teacher: TeacherSpec | None = None
    losses: dict[str, LossSpec] | None = None
    taps: dict[str, TapSpec] | None = None
    callbacks: Names = ()
    fall_back: bool = False
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)] | None = None

    @field_validator("features", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        return ({} if value else None) if isinstance(value, bool) else value

    @field_validator("teacher", mode="before")
    @classmethod
    def _bare_source(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @property
    def squares(self) -> tuple[tuple[int, int], ...]:
        """Heights and widths of multi-scale training; none without it."""
        return tuple((side, side) for side in self.sizes or ())

    @staticmethod
    def from_record(stage: train.Fit) -> FitSpec:
        """The section that gives this record again."""
        return FitSpec.model_validate(stage.to_dict())

    def to_record(self) -> train.Fit:
        """The record that the training loop takes."""
        values = self.model_dump(exclude={"schedule", "stop", "dropout", "freeze", *SHOWN})
        return train.Fit(
            **values,
            schedule=self.schedule.to_record(),
            stop=train.Patience(**self.stop.model_dump()) if self.stop else None,
            dropout=train.GapDropout(**self.dropout.model_dump()) if self.dropout else None,
            freeze=self.freeze or (),
        )


class PseudoLabelSpec(Section):
    """Label unlabelled images with the model as it is, to train on with; see :mod:`lensmith.reuse.pseudo`.

    ``above`` is the least probability of a label that is taken; ``most`` bounds how many of each class are.
    """

    stage: Literal["pseudo-label"] = "pseudo-label"
    source: str
    above: float = Field(0.95, ge=0.5, le=1)
    most: Size | None = None


class EvaluateSpec(Section):
    """Measure on the test part, once, at the end. A plan without this stage ends with it too."""

    stage: Literal["evaluate"] = "evaluate"


def _kind(value: Any) -> Any:
    return {"stage": "fit"} | value if isinstance(value, dict) else value


StageSpec = Annotated[
    Annotated[
        DrawSpec | PretextSpec | WarmupSpec | FitSpec | PseudoLabelSpec | EvaluateSpec,
        Field(discriminator="stage"),
    ],
    BeforeValidator(_kind),
]


def placed(stage: StageSpec, folder: Path) -> StageSpec:
    """The stage with its paths, those of the user's own code among them, taken from the spec's folder."""

    def path(given: str) -> str:
        return str((folder / Path(given).expanduser()).absolute())

    def code(given: str) -> str:
        return custom.placed(given, folder) if custom.is_reference(given) else given

    changed: dict[str, Any] = {}
    if isinstance(stage, PretextSpec | PseudoLabelSpec) and stage.source is not None:
        changed["source"] = path(stage.source)
    if isinstance(stage, FitSpec):
        changed["callbacks"] = tuple(code(one) for one in stage.callbacks)
        losses, taps, teacher = stage.losses or {}, stage.taps or {}, stage.teacher
        changed["losses"] = {task: _with_code(one, code) for task, one in losses.items()} or None
        changed["taps"] = {tap: one.model_copy(update={"loss": code(one.loss)}) for tap, one in taps.items()} or None
        changed["teacher"] = teacher and teacher.model_copy(update={"source": path(teacher.source)})
    return stage.model_copy(update={name: value for name, value in changed.items() if value != getattr(stage, name)})


def _with_code(losses: LossSpec, code: Callable[[str], str]) -> LossSpec:
    parts = tuple(PartSpec(loss=code(part.loss), weight=part.weight) for part in losses.parts)
    loss = code(losses.loss) if isinstance(losses.loss, str) else parts or None
    metrics = None if losses.metrics is None else tuple(code(one) for one in losses.metrics)
    return losses.model_copy(update={"loss": loss, "metrics": metrics})


def code_of(stage: StageSpec) -> tuple[str, ...]:
    """Every piece of the user's own code that a stage names, as ``FILE.py:NAME``."""
    if not isinstance(stage, FitSpec):
        return ()
    return (*references(stage.losses or {}, stage.taps or {}), *stage.callbacks)


def of_record(stage: train.Fit | train.Warmup | train.Draw) -> DrawSpec | WarmupSpec | FitSpec:
    """The section that gives this record again.

    Raises:
        SettingError: it is none of a plan's records.
    """
    if isinstance(stage, train.Draw):
        return DrawSpec(draws=stage.draws, steps=stage.steps, rate=stage.rate, optimizer=stage.optimizer)
    if isinstance(stage, train.Warmup):
        names = [name for name in WarmupSpec.model_fields if name not in SHOWN]
        return WarmupSpec.model_validate({name: getattr(stage, name) for name in names})
    if isinstance(stage, train.Fit):
        return FitSpec.from_record(stage)
    raise check.SettingError(check.sentence("plan", "Draw, Warmup or Fit", repr(stage)))
