"""From the files of a run folder to what its report says; no data is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from lensmith import compose
from lensmith.compose import Recipe
from lensmith.compose.detection import DETECTORS
from lensmith.compose.tasks import CORNERS, Task
from lensmith.records import Labels
from lensmith.runs import stopped
from lensmith.runs.content_detection import anchors, detection
from lensmith.runs.folder import RunFolder, read_json, read_lines
from lensmith.runs.looked import looks_of
from lensmith.runs.outcomes import trained
from lensmith.runs.pictured import kept_pictures
from lensmith.runs.report import ClassRow, Content, Mistake, TaskResult
from lensmith.runs.spec import Spec, read_run_spec
from lensmith.train.watch import WATCH


def content(folder: RunFolder) -> Content:
    """What the report of a run says; of one that has not finished training, what is known so far.

    Raises:
        DataError: a file of the run is broken.
    """
    results = read_json(folder.results) if folder.results.is_file() else None
    spec, noted = read_run_spec(folder.spec), read_json(folder.data)
    begun = _begun(folder, spec, noted)
    return begun if results is None or not trained(spec, results) else _finished(begun, folder, spec, noted, results)


def _begun(folder: RunFolder, spec: Spec, noted: Mapping[str, Any]) -> Content:
    """What is known of a run as soon as it trains. The user's own code is not run for it, so there is no outline."""
    environment = read_json(folder.environment)
    return Content(
        title=folder.path.resolve().name,
        subtitle=f"{sum(len(part) for part in noted['parts'].values()):,} examples from {spec.data.source}",
        finished=False,
        seconds=sum(row["seconds"] for row in read_lines(folder.timing)),
        seed=spec.seed,
        backend=environment["backend"],
        examples={name: len(part) for name, part in noted["parts"].items()},
        history=tuple(read_lines(folder.history)),
        before=noted.get("before") or {},
        diagnosis=tuple(stopped.so_far(folder)),
        watched=tuple(read_lines(folder.path / WATCH)),
        audit=noted["audit"],
        pictures=kept_pictures(folder, len(noted["audit"]["findings"])),
        environment=environment,
        spec=spec.to_yaml(),
        looks=looks_of(folder.path),
        commands=(("Go on with it", f"lensmith train --resume {folder.path}"),),
    )


def _finished(
    begun: Content, folder: RunFolder, spec: Spec, noted: Mapping[str, Any], results: Mapping[str, Any]
) -> Content:
    recipe = Recipe.from_yaml((folder.model / "recipe.yaml").read_text(encoding="utf-8"))
    labels = {task: Labels.from_dict(values) for task, values in noted["labels"].items() if task in recipe.tasks}
    return replace(
        begun,
        finished=True,
        best_epoch=results["best_epoch"],
        monitor=results["monitor"],
        stopped=results["stopped_early"],
        stages=tuple(results.get("stages", ())),
        evaluations=results.get("evaluations", 1),
        before=results.get("before") or {},
        part=results["part"],
        diagnosis=None if results.get("diagnosis") is None else tuple(results["diagnosis"]),
        results=tuple(_task(folder, task, labels[task], recipe.tasks[task], results, len(labels)) for task in labels),
        outline=compose.outline(recipe.build(seed=spec.seed)),
        proof=results["proof"] or {},
        commands=_commands(folder, spec, recipe, results),
    )


def _task(
    folder: RunFolder, task: str, labels: Labels, head: Task, results: Mapping[str, Any], tasks: int
) -> TaskResult:
    metrics = results["metrics"]
    if tasks > 1:
        prefix = f"{task}_"
        metrics = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
    if isinstance(head, DETECTORS):
        found = results.get("detections", {}).get(task)
        shown = None if found is None else detection(folder, found)
        return TaskResult(task, "boxes", labels.names, metrics, detection=shown, anchors=anchors(head))
    numbers, table = results["numbers"].get(task), results["confusion"].get(task)
    names = _numbers_of(labels)
    return TaskResult(
        name=task,
        kind="number" if labels.kind in ("boxes", "points") else labels.kind,  # type: ignore[arg-type]
        names=names,
        metrics=metrics,
        confusion=None if table is None else np.asarray(table),
        per_class=tuple(_class_row(row) for row in results["classes"].get(task, ())),
        mistakes=tuple(_mistake(folder, entry) for entry in results["mistakes"].get(task, ())),
        scatter=None if numbers is None else tuple(_table(numbers[one], len(names)) for one in ("truth", "predicted")),  # type: ignore[arg-type]
    )


def _numbers_of(labels: Labels) -> tuple[str, ...]:
    """The names of the classes, or of the numbers that a box or key points come to."""
    if labels.kind == "boxes":
        return CORNERS
    return (
        tuple(f"{name} {axis}" for name in labels.names for axis in "xy") if labels.kind == "points" else labels.names
    )


def _table(values: Any, width: int) -> np.ndarray:
    """Numbers of each example in a row, those of key points one after another."""
    return np.asarray(values, np.float64).reshape(len(values), -1) if len(values) else np.zeros((0, width))


def _class_row(row: Mapping[str, Any]) -> ClassRow:
    return ClassRow(**{name: row[name] for name in ("name", "examples", "precision", "recall", "f1")})


def _mistake(folder: RunFolder, entry: Mapping[str, Any]) -> Mistake:
    path = entry["picture"] and folder.path / entry["picture"]
    image = np.asarray(Image.open(path).convert("RGB")) if path and path.is_file() else None
    return Mistake(entry["source"], entry["truth"], entry["predicted"], entry["probability"], image)


def _commands(folder: RunFolder, spec: Spec, recipe: Recipe, results: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    run = str(folder.path)
    finds = any(isinstance(head, DETECTORS) for head in recipe.tasks.values())
    others = not all(isinstance(head, DETECTORS) for head in recipe.tasks.values())
    verb = "detect" if finds else "predict"
    shipped = (("Run the artifact", f"lensmith {verb} {folder.artifact} IMAGE"),) if results["artifact"] else ()
    again = (("Train the same again", f"lensmith train {folder.spec}"),) if spec.data.split else ()
    return (
        *((("Find the objects in an image", f"lensmith detect {run} IMAGE"),) if finds else ()),
        *((("Predict an image", f"lensmith predict {run} IMAGE"),) if others else ()),
        *(() if finds else (("See why it says so", f"lensmith probe {run} IMAGE"),)),
        ("Evaluate on other data", f"lensmith evaluate {run} DATA"),
        *shipped,
        *again,
    )
