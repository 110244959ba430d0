"""Activation maximisation against what is known on paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.data import Preprocessing
from lensmith.probe.ascent import adam, smoothed
from lensmith.probe.maximise import maximise, maximise_class, maximise_several
from lensmith.probe.subject import Subject
from lensmith.records import Labels

COMPACT = replace(zoo.get("compact"), input=(16, 16, 3))
WEIGHTS = np.array([[1, -2, 0.5], [-1, 3, -0.25], [2, 2, -1]], "float32")
PLAIN: dict[str, Any] = {"variation": 0.0, "jitter": 0, "steps": 60, "rate": 10.0}


def linear(weights: np.ndarray = WEIGHTS, activation: str = "linear") -> Subject:
    """A unit that is the sum of weighted gray values, scaled to 0..1; a second one is its opposite."""
    image = keras.Input((*weights.shape, 1))
    layer = keras.layers.Dense(2, activation=activation, name="units")
    model = keras.Model(image, layer(keras.layers.Flatten()(image)))
    layer.set_weights([np.stack([weights.ravel(), -weights.ravel()], axis=1), np.zeros(2)])
    return Subject(model, Preprocessing(image=(*weights.shape, 1)), {"label": Labels("class", ("for", "against"))})


def random_images(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *shape)).astype(np.uint8)


@pytest.mark.backends
@pytest.mark.parametrize("unit", [0, 1])
def test_of_a_linear_unit_the_best_image_is_white_where_its_weights_are_positive(unit: int) -> None:
    found = maximise(linear(), "units", unit, **PLAIN)
    signed = WEIGHTS if unit == 0 else -WEIGHTS
    assert np.array_equal(found.image[..., 0], np.where(signed > 0, 255, 0))
    assert found.image.dtype == np.uint8 and found.image.shape == (3, 3, 1)
    assert found.values[-1] == pytest.approx(signed[signed > 0].sum(), rel=1e-6)
    assert found.values.shape == (61,) and found.values.dtype == np.float32 and found.stopped == ""
    assert (np.diff(found.values) > -1e-6).all()


@pytest.mark.backends
def test_colours_go_through_the_preprocessing_of_the_model() -> None:
    """Channel 0 of the model's input is blue, and its deviation turns the sign of nothing."""
    image = keras.Input((4, 4, 3))
    layer = keras.layers.Conv2D(1, 1, use_bias=False, name="maps")
    model = keras.Model(image, layer(image))
    layer.set_weights([np.array([2.0, -1.0, 0.0], "float32").reshape(1, 1, 3, 1)])
    preprocessing = Preprocessing(
        image=(4, 4, 3), scaling="standardise", mean=(10, 20, 30), deviation=(2, 4, 8), channels="bgr"
    )
    found = maximise(Subject(model, preprocessing), "maps", 0, **PLAIN)
    red, green, blue = np.moveaxis(found.image, 2, 0)
    assert (blue == 255).all() and (green == 0).all()
    assert abs(red.astype(float) - 127.5).max() < 40  # weight 0: it stays the noise it was
    assert found.values[-1] == pytest.approx(2 * (255 - 10) / 2 + 20 / 4, rel=1e-5)


@pytest.mark.backends
def test_a_class_is_climbed_by_its_logit_whatever_the_last_activation() -> None:
    for name, best in [("for", WEIGHTS > 0), ("against", WEIGHTS < 0)]:
        found = maximise_class(linear(activation="softmax"), name, **PLAIN)
        assert np.array_equal(found.image[..., 0], np.where(best, 255, 0)), name
        assert (found.name, found.unit) == (name, ("for", "against").index(name))
        assert found.values[-1] == pytest.approx(abs(WEIGHTS[best]).sum(), rel=1e-6)


def test_of_a_single_sigmoid_the_first_class_is_the_opposite_of_the_second() -> None:
    image = keras.Input((3, 3, 1))
    layer = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(image, layer(keras.layers.Flatten()(image)))
    layer.set_weights([WEIGHTS.reshape(9, 1), np.zeros(1)])
    subject = Subject(model, Preprocessing(image=(3, 3, 1)), {"kind": Labels("class", ("no", "yes"))})
    assert np.array_equal(maximise_class(subject, "yes", **PLAIN).image[..., 0] == 255, WEIGHTS > 0)
    assert np.array_equal(maximise_class(subject, "no", **PLAIN).image[..., 0] == 255, WEIGHTS < 0)


@pytest.mark.backends
def test_of_a_network_it_ends_above_its_start_and_above_random_images() -> None:
    model = COMPACT.build(seed=0)
    subject = Subject(model, Preprocessing(image=(16, 16, 3)))
    found = maximise(subject, "learner-group2-block1-conv", 4, steps=60)
    maps = keras.Model(model.input, model.get_layer("learner-group2-block1-conv").output)

    def measured(images: np.ndarray) -> np.ndarray:
        return np.asarray(backend.predict(maps, subject.inputs(list(images))))[..., 4].mean(axis=(1, 2))

    assert found.values[-1] == pytest.approx(float(measured(found.image[None])[0]), rel=1e-4)
    assert found.values[-1] > found.values[0]
    assert found.values[-1] > measured(random_images(50, (16, 16, 3))).max()


def test_the_same_seed_gives_the_same_image_and_another_seed_another() -> None:
    subject = Subject(COMPACT.build(seed=0), Preprocessing(image=(16, 16, 3)))
    one, same, other = (maximise(subject, "P1", 2, steps=6, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.image, same.image) and np.array_equal(one.values, same.values)
    assert not np.array_equal(one.image, other.image)


def test_several_units_are_painted_together_as_each_alone() -> None:
    subject = Subject(COMPACT.build(seed=0), Preprocessing(image=(16, 16, 3)))
    both = maximise_several(subject, "P1", [5, 2], steps=6)
    for one, unit in zip(both, (5, 2), strict=True):
        alone = maximise(subject, "P1", unit, steps=6)
        assert one.unit == unit and one.values[-1] == pytest.approx(alone.values[-1], rel=1e-3)
        assert np.abs(one.image.astype(int) - alone.image).max() <= 3


def test_a_model_of_maps_takes_other_sizes() -> None:
    subject = Subject(COMPACT.build(seed=0), Preprocessing(image=(16, 16, 3)))
    assert maximise(subject, "P1", 0, steps=2, size=(24, 20)).image.shape == (24, 20, 3)
    assert maximise_class(subject, 3, steps=2, size=(24, 20)).image.shape == (24, 20, 3)


def test_variation_makes_it_smoother() -> None:
    subject = Subject(COMPACT.build(seed=0), Preprocessing(image=(16, 16, 3)))
    rough, smooth = (
        np.abs(np.diff(maximise(subject, "P1", 1, steps=20, variation=share).image.astype(float), axis=0)).mean()
        for share in (0.0, 0.5)
    )
    assert smooth < 0.5 * rough


def test_a_unit_that_never_fires_is_said_to() -> None:
    image = keras.Input((4, 4, 1))
    layer = keras.layers.Conv2D(2, 3, activation="relu", name="maps")
    model = keras.Model(image, layer(image))
    layer.set_weights([np.stack([np.full((3, 3, 1), 1.0), np.full((3, 3, 1), -1.0)], axis=-1), np.zeros(2)])
    firing, dead = maximise_several(Subject(model, Preprocessing(image=(4, 4, 1))), "maps", [0, 1], **PLAIN)
    assert dead.stopped == "its derivative is 0 for 5 starts: it never fires" and not dead.values.any()
    assert firing.stopped == "" and (firing.image == 255).all()


def test_a_unit_that_fires_for_strong_contrast_alone_gets_a_stronger_start() -> None:
    """Pixel against pixel, beyond what the first noise holds: relu(a − b − 0.3)."""
    image = keras.Input((1, 2, 1))
    layer = keras.layers.Dense(1, activation="relu", name="unit")
    model = keras.Model(image, layer(keras.layers.Flatten()(image)))
    layer.set_weights([np.array([[1.0], [-1.0]]), np.array([-0.3])])
    found = maximise(Subject(model, Preprocessing(image=(1, 2, 1))), "unit", 0, seed=2, **PLAIN)
    assert found.image.ravel().tolist() == [255, 0] and found.values[-1] == pytest.approx(0.7)


def broken(limit: float) -> Subject:
    """A unit that is the mean of the pixels, 0..255, and no number from a limit on."""
    image = keras.Input((4, 4, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    root = keras.layers.Lambda(lambda x: -keras.ops.sqrt(limit - x), name="root")(mean)
    return Subject(keras.Model(image, root), Preprocessing(image=(4, 4, 1), scaling="none"))


@pytest.mark.backends
def test_it_stops_with_the_last_good_image_when_the_unit_is_no_number_any_more() -> None:
    found = maximise(broken(180.0), "root", 0, variation=0.0, jitter=0, steps=50, rate=5.0)
    assert found.stopped.startswith("no number any more at step")
    assert 170 < found.image.mean() < 180 and np.isfinite(found.values).all()
    assert found.values[-1] > found.values[0] and len(found.values) < 20


def test_a_unit_that_is_no_number_at_once_gives_the_start() -> None:
    found = maximise(broken(0.0), "root", 0, steps=5)
    assert found.stopped.startswith("no number any more at step 1") and np.isnan(found.values).all()
    assert abs(found.image.astype(float) - 127.5).max() < 60


@pytest.mark.backends
def test_adam_is_that_of_the_paper() -> None:
    """Two steps on one number, by hand: gradients 3 and −1."""
    zero = keras.ops.zeros((1,))
    change, first, second = adam(keras.ops.convert_to_tensor([3.0]), zero, zero, 1)
    assert float(change[0]) == pytest.approx(1.0)  # the first step is the sign
    change, first, second = adam(keras.ops.convert_to_tensor([-1.0]), first, second, 2)
    mean, square = 0.9 * 0.3 + 0.1 * -1, 0.999 * 0.009 + 0.001
    assert (float(first[0]), float(second[0])) == (pytest.approx(mean), pytest.approx(square))
    assert float(change[0]) == pytest.approx((mean / (1 - 0.81)) / np.sqrt(square / (1 - 0.999**2)), rel=1e-4)


@pytest.mark.backends
def test_smoothing_is_a_step_towards_the_neighbours() -> None:
    pixels = np.random.default_rng(0).random((2, 3, 4, 2)).astype("float32")
    outside = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    mean = (outside[:, :-2, 1:-1] + outside[:, 2:, 1:-1] + outside[:, 1:-1, :-2] + outside[:, 1:-1, 2:]) / 4
    found = keras.ops.convert_to_numpy(smoothed(keras.ops.convert_to_tensor(pixels), 0.25))
    assert np.allclose(found, pixels + 0.25 * (mean - pixels), atol=1e-6)


def test_progress_is_told_after_each_step() -> None:
    told = list[tuple[int, int]]()
    maximise(linear(), "units", 0, steps=3, progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]


REFUSED = [
    # what is asked for; what the one line says
    ({"layer": "unitz"}, "Did you mean 'units'?"),
    ({"unit": 2}, "unit of units: expected a whole number from 0 to 1; got 2"),
    ({"steps": 0}, "steps: expected a whole number of at least 1; got 0"),
    ({"rate": 0}, "rate: expected a number above 0; got 0"),
    ({"rate": float("nan")}, "rate: expected a number from 0 to 255; got nan"),
    ({"variation": 2}, "variation: expected a number from 0 to 1; got 2"),
    ({"jitter": -1}, "jitter: expected a whole number of at least 1; got -1"),
    ({"size": (0, 3)}, "size: height: expected a whole number of at least 1; got 0"),
    ({"size": (6, 6)}, "cannot be called for images of 6 x 6"),
]


@pytest.mark.parametrize(("wrong", "says"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_wrong_setting_is_refused_in_one_line(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(check.SettingError) as refused:
        maximise(linear(), **({"layer": "units", "unit": 0} | wrong))
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_classes_and_rows_are_refused_in_one_line() -> None:
    with pytest.raises(check.SettingError, match="Did you mean 'against'"):
        maximise_class(linear(), "agains")
    with pytest.raises(check.SettingError, match="at least one; got none"):
        maximise_several(linear(), "units", [])
    columns = keras.Input((2,))
    rows = Subject(
        keras.Model(columns, keras.layers.Dense(1, name="sum")(columns)), Preprocessing(columns=2, scaling="none")
    )
    with pytest.raises(check.SettingError, match="expected a model that takes images; got one that takes rows"):
        maximise(rows, "sum", 0)
