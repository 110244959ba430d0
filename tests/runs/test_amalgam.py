"""Three tasks on one backbone, on scenes made of real digits: trained together, computed once, shipped as one file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from lensmith import compose, data, runs, ship, train
from lensmith.backend import keras
from lensmith.records import Boxes, Records

CANVAS = 40
RECIPE = compose.Recipe(
    input=(CANVAS, CANVAS, 1),
    stem=None,
    learner=compose.Groups(
        *(compose.Group(compose.Conv(norm="before"), filters=width, pool=2) for width in (16, 32, 64))
    ),
    tasks={
        "species": compose.Classify(10, pool="max", hidden=(64,)),
        "quality": compose.Regress(pool="average", hidden=(32,), weight=4),
        "where": compose.Localise(pool="flatten", hidden=(64,)),
    },
)


def scenes(digits: np.ndarray, labels: np.ndarray) -> Records:
    """Each digit, of random brightness, at a random place of a dark canvas: its class, its brightness, its box."""
    random = np.random.default_rng(0)
    size = digits.shape[1]
    images, inks, boxes = [], [], []
    for digit in digits:
        ink, (top, left) = random.uniform(0.4, 1.0), random.integers(0, CANVAS - size + 1, 2)
        canvas = np.zeros((CANVAS, CANVAS), np.uint8)
        canvas[top : top + size, left : left + size] = digit * ink
        images.append(canvas)
        inks.append(ink)
        boxes.append(Boxes(np.array([[left, top, left + size, top + size]]), np.array([0])))
    return data.from_arrays(np.stack(images), {"species": labels, "quality": np.array(inks), "where": boxes})


def trained(folder: Path, records: Records, epochs: int) -> runs.Run:
    parts = data.split(records, 0.7, 0.15, 0.15, seed=0)
    return runs.start(folder, recipe=RECIPE, data=parts, plan=train.Fit(epochs=epochs, rate=2e-3), batch=32)


def check_one_pass(model: ship.Saved, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the calls of every layer that convolves while all three tasks are answered."""
    calls: list[str] = []
    convolutions = [layer for layer in model.model.layers if isinstance(layer, keras.layers.Conv2D)]
    with monkeypatch.context() as patch:
        for layer in convolutions:
            call = layer.call
            patch.setattr(layer, "call", lambda x, call=call, name=layer.name: calls.append(name) or call(x))
        answers = model.predict([image])
    assert set(answers) == set(RECIPE.tasks)
    assert sorted(calls) == sorted(layer.name for layer in convolutions)


def check_one_file(run: runs.Run, records: Records) -> None:
    assert run.artifact is not None
    assert run.results["proof"]["max_difference"] < 1e-4
    artifact, model = ship.open_artifact(run.artifact), run.saved()
    images = [record.image for record in records[:8]]
    for task, answer in model.predict(images).items():
        np.testing.assert_allclose(artifact.predict(images)[task], answer, atol=1e-4)
    assert len(list(run.folder.path.glob("*.onnx"))) == 1


def test_three_tasks_on_scenes_of_bundled_digits(tmp_path, monkeypatch):
    digits = data.bundled("digits")
    images = np.stack([np.kron(record.image[..., 0], np.ones((2, 2))) for record in digits])
    records = scenes(images, np.array([record.targets["label"] for record in digits]))
    run = trained(tmp_path / "run", records, epochs=8)
    metrics = run.results["metrics"]
    assert metrics["species_accuracy"] > 0.5  # chance is 0.1
    assert metrics["quality_mean_absolute_error"] < 0.14  # always saying the mean gives 0.15
    assert metrics["where_iou"] > 0.5  # a box in the middle of the canvas has 0.3
    check_one_pass(run.saved(), records[0].image, monkeypatch)
    check_one_file(run, records)


@pytest.mark.slow
def test_three_tasks_on_mnist_scenes(shared_data, tmp_path, monkeypatch):
    def idx(name: str, offset: int) -> np.ndarray:
        file = next((shared_data / "mnist").rglob(f"{name}*.gz"))
        return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=offset)

    images = idx("t10k-images", 16).reshape(-1, 28, 28)[:4000]
    records = scenes(images, idx("t10k-labels", 8)[:4000].astype(np.int64))
    run = trained(tmp_path / "run", records, epochs=8)
    metrics = run.results["metrics"]
    assert metrics["species_accuracy"] > 0.9
    assert metrics["quality_mean_absolute_error"] < 0.1
    assert metrics["where_iou"] > 0.75
    check_one_pass(run.saved(), records[0].image, monkeypatch)
    check_one_file(run, records)
