"""The losses teach: raw numbers that go down their slope become boxes that lie on the objects."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import boxes
from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.compose.detection import Decode, Grid
from lensmith.detect.losses import BOX_FORMS, YoloLoss, YoloV1Loss, YoloV2Loss, YoloV3Loss

CLASSES = 3
ANCHORED = (Grid(3, 3, ((0.4, 0.4), (0.6, 0.3))), Grid(6, 6, ((0.1, 0.1), (0.2, 0.1))))
CELLS = (Grid(3, 3, ((0.0, 0.0),) * 2),)
# Two images: three objects of different size; one object and a crowd.
TRUTH = np.array(
    [
        [[0.05, 0.1, 0.5, 0.45, 0, 1], [0.55, 0.6, 0.95, 0.85, 1, 1], [0.1, 0.7, 0.18, 0.81, 2, 1]],
        [[0.4, 0.38, 0.62, 0.5, 2, 1], [0.7, 0.7, 0.9, 0.9, 1, 0], [0, 0, 0, 0, -1, 0]],
    ],
    np.float32,
)


def learnt(loss: YoloLoss, count: int, steps: int, rate: float) -> np.ndarray:
    """Adam (Kingma & Ba 2015, algorithm 1) on the raw numbers themselves."""
    raw = np.random.default_rng(0).normal(0, 0.3, (2, count, 5 + CLASSES)).astype(np.float32)
    slope = differentiated(lambda x: (keras.ops.sum(loss.call(TRUTH, x)), ()))
    mean, square = np.zeros_like(raw), np.zeros_like(raw)
    for step in range(1, steps + 1):
        found = np.asarray(keras.ops.convert_to_numpy(slope(raw)[2]))
        mean, square = 0.9 * mean + 0.1 * found, 0.99 * square + 0.01 * found**2
        raw = raw - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return raw.astype(np.float32)


def check_found(decode: Decode, raw: np.ndarray) -> None:
    """The surest candidates lie on the objects and know their classes; all others are sure of nothing."""
    rows = np.asarray(keras.ops.convert_to_numpy(decode(raw)))
    for image, objects in ((0, TRUTH[0]), (1, TRUTH[1, :1])):
        overlaps = boxes.iou(rows[image, :, :4], objects[:, :4])
        first = np.argsort(-rows[image, :, 4])[: len(objects)]
        if image == 1:  # nobody punishes the candidates on the crowd, so one of them may be sure
            first = np.array([int(np.argmax(overlaps[:, 0] * rows[image, :, 4]))])
        owner = overlaps[first].argmax(axis=1)
        assert sorted(owner.tolist()) == list(range(len(objects)))
        assert (overlaps[first, owner] > 0.9).all()
        assert (rows[image, first, 4] > 0.9).all()
        assert (rows[image, first, 5:].argmax(axis=1) == objects[owner, 4]).all()
        others = np.delete(rows[image, :, 4], first)
        crowded = boxes.iou(np.delete(rows[image, :, :4], first, axis=0), TRUTH[1, 1:2, :4])[:, 0] > 0.3
        assert (others[~(crowded & (image == 1))] < 0.4).all()


@pytest.mark.parametrize("softmax", [False, True])
def test_v1_learns(softmax: bool) -> None:
    raw = learnt(YoloV1Loss([CELLS], softmax=softmax), 18, 300, 0.03)
    check_found(Decode(CELLS, "cells", softmax=softmax), raw)


def test_v2_learns() -> None:
    raw = learnt(YoloV2Loss([ANCHORED]), 90, 300, 0.1)
    check_found(Decode(ANCHORED, softmax=True), raw)


@pytest.mark.parametrize("box", BOX_FORMS)
def test_v3_learns(box: str) -> None:
    raw = learnt(YoloV3Loss([ANCHORED], box=box), 90, 300, 0.1)
    check_found(Decode(ANCHORED), raw)


@pytest.mark.backends
@pytest.mark.parametrize("kind", [YoloV1Loss, YoloV2Loss, YoloV3Loss])
def test_keras_trains_with_it(kind: type[YoloLoss]) -> None:
    """Compiled, with batches of 2 and of 1: the loss of what a network gives goes down."""
    grids = CELLS if kind is YoloV1Loss else ANCHORED
    count = sum(grid.rows * grid.columns * len(grid.anchors) for grid in grids)
    keras.utils.set_random_seed(0)
    source = keras.Input((4,))
    x = keras.layers.Dense(count * (5 + CLASSES), kernel_initializer="zeros")(source)
    model = keras.Model(source, keras.layers.Reshape((count, 5 + CLASSES))(x))
    model.compile(keras.optimizers.Adam(0.1), loss=kind([grids]))
    inputs, truth = np.eye(3, 4, dtype=np.float32), np.concatenate([TRUTH, TRUTH[:1]])
    history = model.fit(inputs, truth, batch_size=2, epochs=8, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < 0.5 * history[0]
