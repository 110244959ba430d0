"""The localiser's other losses, those of overlap, and its key points: from the record to what a run measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith import compose, data, runs, ship, train
from lensmith.backend import keras, predict
from lensmith.check import SettingError
from lensmith.compose import Conv, Group, Groups, Localise, Recipe
from lensmith.compose.overlap import OVERLAPS
from lensmith.compose.tasks import takes
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs.aims import objectives

EYE = Groups(Group(Conv(norm="before"), filters=(8, 16), pool=2))


def model(task: Localise, size: int = 16) -> Recipe:
    return Recipe(input=(size, size, 1), stem=None, learner=EYE, tasks={"where": task})


def squares(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright rectangle of 5 to 9 pixels on a dark canvas of 16, and its corners in pixels."""
    rng = np.random.default_rng(8)
    size, place = rng.integers(5, 10, (count, 2)), rng.random((count, 2))
    low = np.round(place * (16 - size)).astype(int)
    images = np.zeros((count, 16, 16, 1), np.uint8)
    for image, (x, y), (width, height) in zip(images, low, size, strict=True):
        image[y : y + height, x : x + width] = 250
    return images, np.concatenate([low, low + size], axis=1).astype(np.float32)


def boxed(count: int = 64) -> Records:
    images, corners = squares(count)
    return data.from_arrays(list(images), [Boxes(row[None], [0]) for row in corners], ["square"], task="where")


def pointed(count: int = 64) -> Records:
    """Two key points: the upper left and the lower right corner. Half of the images are twice as wide."""
    images, corners = squares(count)
    items = []
    for place, (image, row) in enumerate(zip(images, corners, strict=True)):
        times = 1 + place % 2
        target = row.reshape(2, 2) * [times, 1]
        items.append(Record(f"square:{place}", image=np.repeat(image, times, axis=1), targets={"where": target}))
    return Records(tuple(items), {"where": Labels("points", ("top left", "bottom right"))}, name="squares")


@pytest.mark.backends
@pytest.mark.parametrize("distance", ["l2", "smooth-l1", *OVERLAPS])
def test_training_measures_what_the_evaluation_measures(distance: str) -> None:
    """The loss and the metrics of a whole batch, of guesses some of which are inside out."""
    task = Localise(distance)  # type: ignore[arg-type]
    truth = squares(6)[1] / 16
    given = np.concatenate([truth[:2] + 0.1, truth[2:4, [2, 3, 0, 1]], np.random.default_rng(1).random((2, 4))])
    given = given.astype(np.float32)
    scored = runs.scoring._measure(task, truth, given)
    assert set(scored) == {"loss", "mean_absolute_error", "iou"}
    objective = train.Objective(task.loss, task.metrics, task.output_activation)
    loss = train.objective.loss_of(objective)(truth, given)
    assert float(loss) == pytest.approx(scored["loss"], abs=1e-6)
    for metric in train.objective.metrics_of(objective):
        metric.update_state(truth, given)
        assert float(metric.result()) == pytest.approx(scored[metric.name], abs=1e-6), metric.name


@pytest.mark.backends
@pytest.mark.parametrize("distance", OVERLAPS)
def test_the_first_guess_is_the_middle_of_the_image(distance: str) -> None:
    """Boxes that do not meet the true one teach little."""
    built = model(Localise(distance, pool="flatten")).build(seed=3)  # type: ignore[arg-type]
    given = predict(built, np.float32(squares(8)[0]) / 255)
    np.testing.assert_allclose(given, np.tile([0.25, 0.25, 0.75, 0.75], (8, 1)), atol=0.15)
    assert np.ptp(given, axis=0).max() > 0  # not the same for every image


@pytest.mark.parametrize("distance", ["giou", "ciou"])
def test_a_network_learns_by_overlap_alone(distance: str) -> None:
    """The mean IoU on what it was trained with; the middle of the image alone has 0.3."""
    task = Localise(distance, hidden=(32,))  # type: ignore[arg-type]
    network = Recipe(input=(16, 16, 1), stem=None, learner=None, tasks={"where": replace(task, pool="flatten")}).build(
        1
    )
    images, corners = squares(64)
    x, y = images.astype(np.float32) / 255, corners / 16
    network.compile(keras.optimizers.Adam(0.003), loss=task.loss)
    before = runs.scoring._measure(task, y, predict(network, x))["iou"]
    for _ in range(60):
        network.train_on_batch(x, y)
    after = runs.scoring._measure(task, y, predict(network, x))["iou"]
    assert before < 0.35
    assert after > 0.6


def test_a_run_with_a_loss_of_overlap(tmp_path: Path) -> None:
    """Trained, evaluated, shipped and proven as with any other loss."""
    parts = data.split(boxed(), 0.6, 0.2, 0.2)
    recipe = model(Localise("giou", pool="flatten"))
    run = runs.start(tmp_path / "run", recipe=recipe, data=parts, plan=train.Fit(epochs=2, rate=0.003), batch=8)
    assert run.results is not None
    assert set(run.results["metrics"]) == {"loss", "mean_absolute_error", "iou"}
    assert run.results["proof"]["max_difference"] <= 1e-4
    assert run.saved().recipe.tasks["where"] == recipe.tasks["where"]


@pytest.mark.backends
@pytest.mark.parametrize("pool", ["average", "flatten", "average-last"])
def test_key_points_are_rows_of_x_and_y(pool: str) -> None:
    built = model(Localise(points=3, pool=pool)).build(seed=0)  # type: ignore[arg-type]
    given = predict(built, np.zeros((2, 16, 16, 1), np.float32))
    assert built.get_layer("task-where-output").output.shape == (None, 3, 2)
    assert given.shape == (2, 3, 2)
    flat = predict(keras.Model(built.input, built.get_layer("task-where-numbers").output), np.zeros((2, 16, 16, 1)))
    np.testing.assert_array_equal(flat.reshape(2, 3, 2), given)


def test_key_points_from_the_records_to_the_run(tmp_path: Path) -> None:
    records = pointed()
    targets = data.to_array(records, "where")
    assert targets.shape == (64, 2, 2)
    np.testing.assert_allclose(targets.reshape(64, 4), squares(64)[1] / 16, atol=1e-7)  # shares, also of wide images
    recipe = model(Localise("l2", pool="flatten", points=2))
    parts = data.split(records, 0.6, 0.2, 0.2)
    run = runs.start(tmp_path / "run", recipe=recipe, data=parts, plan=train.Fit(epochs=60, rate=0.02), batch=8)
    assert run.results is not None
    assert set(run.results["metrics"]) == {"loss", "mean_absolute_error"}
    assert run.results["metrics"]["mean_absolute_error"] < 0.15  # always the mean place: 0.19
    assert run.results["proof"]["max_difference"] <= 1e-4
    saved = run.saved()
    batches = data.batches(records, saved.preprocessing, size=32, shuffle=False)
    trained = train.evaluate(compose.logits(saved.model), batches, objectives(saved.recipe, records.labels))
    scored = runs.score(saved, records)
    assert trained["loss"] == pytest.approx(scored.loss, abs=1e-6)
    assert trained["mean_absolute_error"] == pytest.approx(scored.metrics["mean_absolute_error"], abs=1e-5)
    answers = ship.predict(saved, [records[1]])[0].tasks["where"]
    pixels = saved.predict([records[1]])["where"][0] * [32, 16]
    np.testing.assert_allclose([one.score for one in answers], pixels.reshape(-1), rtol=1e-5)


def test_the_mean_place_is_that_bad() -> None:
    """The number that the run above is compared with."""
    targets = squares(64)[1] / 16
    assert np.abs(targets - targets.mean(axis=0)).mean() == pytest.approx(0.15, abs=0.05)


def test_losses_of_key_points_on_paper() -> None:
    """One point off by 0.05 in x and by 0.3 in y, one right: four numbers."""
    truth, given = np.float32([[[0.5, 0.5], [0, 1]]]), np.float32([[[0.55, 0.2], [0, 1]]])
    for distance, expected in (("l2", (0.05**2 + 0.3**2) / 4), ("smooth-l1", (0.05**2 / 2 + 0.1 * 0.25) / 4)):
        task = Localise(distance, points=2)  # type: ignore[arg-type]
        objective = train.Objective(task.loss, task.metrics)
        assert float(train.objective.loss_of(objective)(truth, given)) == pytest.approx(expected)
        scored = runs.scoring._measure(task, truth, given)
        assert scored == {"loss": pytest.approx(expected), "mean_absolute_error": pytest.approx(0.35 / 4)}


def test_what_it_can_be_trained_on() -> None:
    assert takes(Localise(points=3), "points", 3)
    assert not takes(Localise(points=3), "points", 4)
    assert not takes(Localise(points=2), "boxes", 2)
    assert not takes(Localise(points=2), "number", 4)
    assert not takes(Localise(), "points", 2)
    assert (Localise().kind, Localise(points=1).kind) == ("boxes", "points")
    assert (Localise().units, Localise(points=5).units) == (4, 10)


@pytest.mark.parametrize("task", [Localise("ciou", hidden=(5,)), Localise("l2", points=7), Localise(points=1)])
def test_written_and_read_again(task: Localise) -> None:
    recipe = model(task)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_wrong_settings_are_named(refused) -> None:
    refused(lambda: Localise("diuo"), "localise.distance", "Did you mean 'diou'")  # type: ignore[arg-type]
    refused(lambda: Localise("giou", points=2), "localise.distance of points", "l2, smooth-l1", "'giou'")
    for points in (-1, 1.5, True):
        refused(lambda points=points: Localise(points=points), "localise.points", "whole number", repr(points))
    with pytest.raises(SettingError, match=r"tasks\.where\.points"):
        Recipe.from_yaml("{input: [8, 8, 1], tasks: {where: {part: localise, points: two}}}")
