"""What a detector of each kind is trained for."""

from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose, detect, train
from lensmith.backend import keras
from lensmith.check import SettingError
from lensmith.compose import Classify, Conv, Group, Groups, Recipe, YoloV1, YoloV2, YoloV3, YoloV3Tiny
from lensmith.detect.training import candidates_of

ANCHORS = ((8.0, 8.0), (16.0, 16.0))
DETECTORS = {
    "v1": YoloV1(2, grid=4, boxes=2),
    "v2": YoloV2(2, anchors=ANCHORS, tap="P3", passthrough="P2", width=8),
    "v3": YoloV3(2, anchors=((8.0, 8.0),) * 6, taps=("P3", "P2"), width=8),
    "v3-tiny": YoloV3Tiny(2, anchors=((8.0, 8.0),) * 6, taps=("P3", "P2"), width=8),
}


def recipe(task, **more):
    learner = Groups(*[Group(Conv(norm="before"), filters=8, pool=2) for _ in range(3)])
    return Recipe(input=(32, 32, 3), stem=None, learner=learner, tasks={"objects": task, **more})


@pytest.mark.parametrize("kind", DETECTORS)
def test_its_loss_and_its_measure_fit_the_model(kind):
    made = recipe(DETECTORS[kind])
    aim = detect.objective(made, "objects", ("red", "blue"))
    outputs = compose.logits(made.build(seed=0))(np.zeros((2, 32, 32, 3), np.float32))
    y = np.zeros((2, 3, 6), np.float32)
    y[..., 4] = -1
    y[0, 0] = [0.25, 0.25, 0.5, 0.5, 1, 1]
    loss = keras.ops.convert_to_numpy(aim.loss(y, outputs))
    assert np.isfinite(loss).all()
    begun = aim.measures[0].begin()
    begun.add(y, keras.ops.convert_to_numpy(outputs))
    assert begun.result().keys() == {"map50", "map"}
    assert aim.shape == (None, 6)
    assert len(candidates_of(made, "objects")) == outputs.shape[1]


def test_the_weight_of_the_task_is_that_of_its_loss():
    made = recipe(replace(DETECTORS["v2"], weight=0.25), kind=Classify(3))
    assert detect.objective(made, "objects", ("a", "b")).weight == 0.25
    assert detect.detectors(made) == ("objects",)


def test_further_sizes_have_candidates_of_their_own():
    made = recipe(DETECTORS["v3"])
    aim = detect.objective(made, "objects", ("a", "b"), sizes=[(64, 64), (32, 64)])
    model = compose.resizable(compose.logits(made.build(seed=0)))
    y = np.asarray([[[0.25, 0.25, 0.5, 0.5, 1, 1]]], np.float32)
    for size in ((32, 32), (64, 64), (32, 64)):
        outputs = model(np.zeros((1, *size, 3), np.float32))
        assert np.isfinite(keras.ops.convert_to_numpy(aim.loss(y, outputs))).all()


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_few_steps_lower_the_loss_of_one_image(kind):
    made = recipe(DETECTORS[kind])
    x = np.full((1, 32, 32, 3), 0.4, np.float32)
    x[0, 8:16, 8:16] = (1, 0, 0)
    y = np.asarray([[[0.25, 0.25, 0.5, 0.5, 0, 1], [0, 0, 0, 0, -1, 0]]], np.float32)
    trial = train.try_one_batch(
        compose.logits(made.build(seed=0)),
        (x, y),
        stage=train.Fit(rate=0.01),
        objectives={"objects": detect.objective(made, "objects", ("a", "b"))},
        seed=0,
    )
    assert trial.learnt and trial.losses[-1] < trial.losses[0]


def test_what_is_no_detector_is_refused():
    made = recipe(DETECTORS["v1"], kind=Classify(3))
    with pytest.raises(SettingError, match=r"tasks\.kind: expected a detector; got Classify"):
        detect.objective(made, "kind", ("a", "b", "c"))
    with pytest.raises(SettingError, match="Did you mean 'objects'"):
        detect.objective(made, "object", ("a", "b"))
