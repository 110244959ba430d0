"""What the stages of a run have in common: the model, the examples, and how both are shown to a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensmith import data, detect, ship, train
from lensmith.compose import Recipe
from lensmith.records import Records
from lensmith.runs import aims, precision, resolve
from lensmith.runs.checking import mixes
from lensmith.runs.folder import RunFolder
from lensmith.runs.manifest import Parts
from lensmith.runs.spec import Spec
from lensmith.runs.stage_specs import FitSpec, ShownSpec, WarmupSpec
from lensmith.train.state import arrays_of, put


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What the stages of a run have in common.

    Args:
        folder: of the run.
        spec: with everything written out.
        saved: the model as it is used, with its recipe, labels and preprocessing.
        model: the model as it is trained, with its auxiliary heads; in float32 the other is a view of it.
        parts: training, validation and test examples; a stage may add to the first.
        progress: who is told how far it is.
    """

    folder: RunFolder
    spec: Spec
    saved: ship.Saved
    model: Any
    parts: Parts
    progress: train.Progress | None

    @property
    def recipe(self) -> Recipe:
        return self.saved.recipe  # type: ignore[return-value]  # chains are not trained by runs


@contextmanager
def sized(job: Job, stage: ShownSpec, name: str) -> Iterator[Job]:
    """The job at the size of images that a stage asks for; its model ends with the weights that came of it."""
    here = job if stage.image is None else _at_size(job, stage.image)
    yield here
    if here is not job:
        put(list(job.model.variables), arrays_of(list(here.model.variables)), name)


def _at_size(job: Job, image: tuple[int, int, int]) -> Job:
    """The same job with a model for images of another size, which has the same weights."""
    recipe = replace(job.recipe, input=image)
    asked = job.spec.model.precision
    model = precision.build(recipe, asked, seed=job.spec.seed)
    put(list(model.variables), arrays_of(list(job.model.variables)), f"image {image}")
    used = precision.used(model, recipe, asked)
    saved = ship.Saved(used, recipe, job.saved.labels, replace(job.saved.preprocessing, image=image))
    return replace(job, saved=saved, model=model)


def batches(job: Job, stage: ShownSpec, part: Records, tasks: Sequence[str], *, learning: bool) -> data.Batches:
    """The batches of a part as a stage sees them; what is measured sees the pixels that prediction will see."""
    section = job.spec.data
    augment = stage.augmentation(section.augmentation())
    return data.batches(
        part,
        job.saved.preprocessing,
        size=batch_size(job, stage),
        seed=job.spec.seed,
        shuffle=learning,
        tasks=tasks,
        augment=augment if learning else None,
        one_hot=augment is not None and augment.mixes,
        several=detect.detectors(job.recipe),
        sizes=stage.squares if learning and isinstance(stage, FitSpec) else (),
        exact=not learning,
        cache=None if section.cache is None else Path(section.cache),
        memory=None if section.memory is None else section.memory << 20,
    )


def objectives(job: Job, stage: WarmupSpec | FitSpec) -> Mapping[str, train.Objective]:
    """What a stage trains for."""
    return aims.of_stage(stage, job.recipe, job.parts[0], mixed=mixes(stage, job.spec, job.recipe))


def batch_size(job: Job, stage: ShownSpec) -> int:
    """How many examples a step of a stage has."""
    return stage.batch or job.spec.data.batch or resolve.batch_size(len(job.parts[0]))
