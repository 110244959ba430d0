"""A model as far as its taps, at other image sizes, and with something added to its feature maps."""

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import derivative, keras, predict
from lensmith.compose import logits, zoo
from lensmith.compose.tapping import layer_of, tapped, with_offset

rng = np.random.default_rng(0)


def own() -> keras.Model:
    """A user's own model: a convolution that is called twice, a model inside, names of Keras' choosing."""
    image = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="twice")
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="inside")])
    x = inner(twice(twice(image)))
    x = keras.layers.Flatten(name="flat")(x)
    return keras.Model(image, keras.layers.Dense(2, activation="softmax", name="last")(x))


def test_a_tap_gives_what_the_layer_gave_in_its_last_call() -> None:
    model, x = own(), rng.random((2, 8, 8, 3), np.float32)
    twice = model.get_layer("twice")
    found = predict(tapped(model, ["twice", "inside"]), x)
    expected = keras.ops.convert_to_numpy(keras.ops.stop_gradient(twice(twice(x))))
    np.testing.assert_allclose(found["twice"], expected, atol=1e-6)
    assert found["inside"].shape == (2, 6, 6, 4)


def test_a_tap_at_another_size_leaves_out_what_cannot_take_it() -> None:
    model = own()
    taken = tapped(model, ["inside"], size=(20, 11))
    assert tuple(taken.output["inside"].shape) == (None, 18, 9, 4)
    assert [layer.name for layer in taken.layers if layer.weights] == ["twice", "inside"]
    with pytest.raises(check.SettingError, match="last: cannot be called for images of 20 x 11"):
        tapped(model, ["last"], size=(20, 11))


def test_one_layer_may_be_asked_for_by_two_names() -> None:
    model = zoo.get("compact").build(seed=0)
    layer = layer_of(model, "P2")
    found = predict(tapped(model, ["P2", layer]), rng.random((1, *model.input_shape[1:]), np.float32))
    np.testing.assert_array_equal(found["P2"], found[layer])


@pytest.mark.parametrize("tap", ["P9", "learner-group9"])
def test_an_unknown_tap_is_refused_with_the_nearest(tap: str) -> None:
    with pytest.raises(check.SettingError, match=r"taps: expected one of P0.*got '.*Did you mean"):
        tapped(zoo.get("compact").build(seed=0), [tap])


def test_no_tap_is_refused() -> None:
    with pytest.raises(check.SettingError, match="at least one"):
        tapped(own(), [])


@pytest.mark.parametrize("tap", ["twice", "inside", "flat"])
def test_an_offset_of_zero_changes_nothing(tap: str) -> None:
    model, x = own(), rng.random((2, 8, 8, 3), np.float32)
    moved = with_offset(model, tap)
    zeros = np.zeros((2, *moved.input["offset"].shape[1:]), np.float32)
    found = moved({"image": keras.ops.convert_to_tensor(x), "offset": keras.ops.convert_to_tensor(zeros)})
    found = keras.tree.map_structure(lambda value: keras.ops.convert_to_numpy(keras.ops.stop_gradient(value)), found)
    np.testing.assert_allclose(found["outputs"], predict(model, x), atol=1e-6)
    np.testing.assert_allclose(found["maps"], predict(tapped(model, [tap]), x)[tap], atol=1e-6)


@pytest.mark.backends
def test_the_derivative_by_an_offset_is_that_by_the_maps() -> None:
    """Of a linear head, on paper: the logit's derivative by each flattened value is its weight."""
    model = logits(own())
    moved, x = with_offset(model, "flat"), rng.random((1, 8, 8, 3), np.float32)

    def second_logit(offset):
        outputs = derivative.call(moved, {"image": x, "offset": offset})
        return keras.ops.sum(outputs["outputs"][:, 1]), outputs["maps"]

    by_offset = derivative.differentiated(second_logit, moved)
    value, maps, gradient = by_offset(np.zeros((1, 144), np.float32))
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(gradient)[0], kernel[:, 1], atol=1e-6)
    np.testing.assert_allclose(float(value), float(keras.ops.convert_to_numpy(maps)[0] @ kernel[:, 1]), atol=1e-5)


@pytest.mark.backends
def test_a_derivative_of_what_does_not_depend_on_it_is_zero_and_weights_keep_none() -> None:
    model, x = own(), rng.random((1, 8, 8, 3), np.float32)
    _, _, gradient = derivative.differentiated(lambda _: (keras.ops.sum(derivative.call(model, x)), ()), model)(x)
    assert not keras.ops.convert_to_numpy(gradient).any()
    _, _, gradient = derivative.differentiated(lambda x: (keras.ops.sum(x * x), ()))(x)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(gradient), 2 * x, atol=1e-6)
    assert all(getattr(weight.value, "grad", None) is None for weight in model.weights)
