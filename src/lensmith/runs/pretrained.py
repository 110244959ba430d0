"""Begin from weights that were trained before: others' published ones, a file, or an earlier run of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check, data, ship
from lensmith.compose import Chain, Recipe, weights, zoo
from lensmith.compose.detection import DETECTORS
from lensmith.runs.spec import ModelSpec, WeightsSpec
from lensmith.ship.published import file_of


@dataclass(frozen=True, slots=True)
class Backbone:
    """A trained backbone.

    Args:
        recipe: whose stem, learner and conventions the weights belong to.
        row: of the zoo, whose name maps are tried; empty for a model of our own.
        file: with the weights.
        settings: of the preprocessing they were trained with, all but the size; None where only the names in the
            file will tell.
    """

    recipe: Recipe
    row: str
    file: Path
    settings: Mapping[str, Any] | None


def backbone(model: ModelSpec) -> Backbone | None:
    """The backbone that a spec's section names; None where it begins from chance.

    Raises:
        SettingError: the source is unknown, or no row of the zoo says what its names mean.
        LensmithError: published weights cannot be fetched.
    """
    if model.weights is None:
        return None
    source, row = Path(model.weights.source), model.weights.row
    if source.is_dir():
        return _of_ours(source)
    if row is None and isinstance(model.learner, str):
        row = model.learner
    if row is None:
        remedy = "Say model.weights: {source: …, row: resnet50-v1}"
        raise check.SettingError(f"model.weights.row: missing; the learner is no name of the zoo. {remedy}")
    file, published = file_of(row, model.weights.source)
    return Backbone(zoo.get(row), row, file, published.preprocessing if published else None)


def load(model: Any, recipe: Recipe, found: Backbone) -> Mapping[str, Any]:
    """Put the weights in their places, all but those of the heads; the preprocessing they were trained with.

    Args:
        model: which gets them.
        recipe: of the model.
        found: where they are.

    Raises:
        DataError: the file does not fit the model; names the weight.
    """
    if not any(isinstance(task, DETECTORS) for task in recipe.tasks.values()):
        report = weights.load(model, found.row, found.file, head=False)
    else:  # whose backbone ends where the last of its maps is read, while the file may go on
        whole = found.recipe.build(seed=0)
        report = weights.load(whole, found.row, found.file, head=False)
        _copy(whole, model, found.file)
    return weights.trained_with(report) if found.settings is None else found.settings


def _copy(whole: Any, model: Any, file: Path) -> None:
    """Give a model the weights of another's layers of the same names, but for the heads."""
    known = {weight.path: weight for weight in whole.weights}
    for weight in model.weights:
        if weight.path.startswith("task-"):
            continue
        shape = tuple(weight.shape)
        there = known.get(weight.path)
        if there is None or tuple(there.shape) != shape:
            got = "none" if there is None else f"one of shape {tuple(there.shape)}"
            raise check.DataError(check.sentence(str(file), f"{weight.path} of shape {shape}", got))
        weight.assign(there)


def preprocessing(settings: Mapping[str, Any], image: tuple[int, int, int], asked: str | None) -> data.Preprocessing:
    """Examples scaled as the weights were trained.

    Raises:
        SettingError: another scaling was asked for.
    """
    if asked is not None and asked != settings["scaling"]:
        expected = f"{settings['scaling']}, as the weights were trained"
        raise check.SettingError(check.sentence("data.scaling", expected, asked, "Leave it out"))
    return data.Preprocessing(image=image, **settings)


def written(found: Backbone, section: WeightsSpec) -> WeightsSpec:
    """The section with a path that means the same wherever it is read."""
    source = str(Path(section.source).absolute()) if Path(section.source).exists() else section.source
    return WeightsSpec(source=source, row=found.row or None)


def model_folder(folder: Path) -> Path:
    """Where the model is that a run, or a saved model, has."""
    return folder / "model" if (folder / "model").is_dir() else folder


def _of_ours(folder: Path) -> Backbone:
    """A run or a saved model."""
    place = model_folder(folder)
    saved = ship.load(place)
    if isinstance(saved.recipe, Chain):
        raise check.SettingError(check.sentence(str(folder), "a model with one backbone", "a chain"))
    settings = {
        name: value for name, value in saved.preprocessing.to_dict().items() if name not in ("image", "columns")
    }
    return Backbone(saved.recipe, "", place / "weights.safetensors", settings)
