"""What every row of the zoo promises. A new row inherits these tests."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Basic, Bottleneck, Conv, ConvStem, Dense, Groups, Pool, Recipe, zoo
from lensmith.compose.views import tap_name

pytestmark = pytest.mark.backends

EVERY = pytest.mark.parametrize("name", zoo.names())  # most of them slow, see conftest.py
# What costs more than a moment is done to one of each kind of structure, and to all others as slow tests.
FEW = {"dense-multi-task", "dense-digits-dropout", "compact", "conv-digits", "histology-v3", "vgg16"}
FEW |= {"resnet18-v1", "resnet18-v2", "resnet50-v1.5", "resnet20-cifar-v1", "googlenet", "mobilenet-v2"}
FEW |= {"densenet121", "shufflenet-v1-g1", "squeezenet-1.0"}
COSTLY = pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in zoo.names()]
)
ACTIVATIONS = {
    "softmax": lambda x: (
        np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)
    ),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "linear": lambda x: x,
}


def numbers(outputs) -> dict[str, np.ndarray]:
    """A model's answer as arrays by task; one task is called ``only``."""
    by_task = outputs if isinstance(outputs, dict) else {"only": outputs}
    return {task: keras.ops.convert_to_numpy(value) for task, value in by_task.items()}


def targets(recipe: Recipe, view, size: int):
    """Targets of the right shape and type for every task: the class 0, or zeros."""
    outputs = view.output if isinstance(view.output, dict) else {next(iter(recipe.tasks)): view.output}
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in outputs.items()}
    by_task = {
        name: np.zeros((size, *shapes[name][:-1]), "int32")
        if task.loss == "sparse_categorical_crossentropy"
        else np.zeros((size, *shapes[name]), "float32")
        for name, task in recipe.tasks.items()
    }
    return by_task if len(by_task) > 1 else next(iter(by_task.values()))


def loss(task):
    """The task's loss, reading logits where it can."""
    kinds = {
        "binary_crossentropy": keras.losses.BinaryCrossentropy,
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    }
    return kinds[task.loss](from_logits=True) if task.loss in kinds else task.loss


def step(size: int, window: int, stride: int, padding: str) -> int:
    """The size after a window has gone over it, by the formula of the books."""
    return (size - window) // stride + 1 if padding == "valid" else math.ceil(size / stride)


def plain(recipe: Recipe) -> bool:
    """Whether :func:`sizes` can work the sizes out: groups of convolutions and residual blocks after a simple stem."""
    return (
        isinstance(recipe.learner, Groups)
        and (recipe.stem is None or isinstance(recipe.stem, ConvStem))
        and recipe.conventions.padding != "after"
        and all(
            isinstance(block, Conv | Basic | Bottleneck) and group.strided == "first"
            for group in recipe.learner.groups
            for block in group.each_block
        )
    )


def sizes(recipe: Recipe, size: int) -> dict[int, int]:
    """The side of the last feature maps of each stride, worked out from the recipe alone."""
    stride, found = 1, {}
    if recipe.stem is not None:
        stride, size = recipe.stem.stride, math.ceil(size / recipe.stem.stride)
        found[stride] = size
        if recipe.stem.pool:
            stride, size = stride * 2, math.ceil(size / 2)
            found[stride] = size
    for group in recipe.learner.groups:
        first = group.each_block[0].own_stride if group.stride is None else group.stride
        for block, own in zip(group.each_block, [first] + [1] * (len(group.each_block) - 1), strict=True):
            window, padding = (block.kernel, block.padding) if isinstance(block, Conv) else (3, "same")
            stride, size = stride * own, step(size, window, own, padding)
            found[stride] = size
        if group.pool:
            own = group.pool.stride or group.pool.size
            stride, size = stride * own, step(size, group.pool.size, own, group.pool.padding)
            found[stride] = size
    return found


@EVERY
def test_written_and_read_again_is_the_same_recipe(name):
    recipe = zoo.get(name)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert hash(Recipe.from_yaml(recipe.to_yaml())) == hash(recipe)


@EVERY
def test_name_is_lower_case_with_hyphens(name):
    assert re.fullmatch(r"[a-z0-9.]+(-[a-z0-9.]+)*", name)


@EVERY
def test_layer_names_have_no_sign_that_keras_or_torch_refuses(name, built):
    assert not [layer.name for layer in built(name).layers if set(layer.name) & set("/.: ")]


@EVERY
def test_taps_have_their_stride(name, small, built):
    recipe, model = small(name), built(name)
    taps = compose.tap_names(model)
    if len(recipe.input) == 1 or recipe.learner is None or isinstance(recipe.learner, Dense):
        assert not taps
        return
    found = {tap: tuple(model.get_layer(layer).output.shape[1:3]) for tap, layer in taps.items()}
    if plain(recipe):
        heights, widths = (sizes(recipe, side) for side in recipe.input[:2])
        assert found == {tap_name(stride): (heights[stride], widths[stride]) for stride in heights}
    strides = [int(tap[1:]) if tap[0] == "S" else 2 ** int(tap[1:]) for tap in found]
    assert strides == sorted(set(strides))
    for stride, shape in zip(strides, found.values(), strict=True):
        for side, whole in zip(shape, recipe.input[:2], strict=True):
            assert 0 < side <= math.ceil(whole / stride)  # windows without padding leave fewer
            assert "valid" in recipe.to_yaml() or abs(side - whole / stride) < 1


@EVERY
def test_last_tap_is_what_the_heads_read(name, built):
    model = built(name)
    taps = list(compose.tap_names(model).values())
    for layer in model.layers:
        before = layer.input._keras_history.operation if re.fullmatch(r"task-\w+-pool", layer.name) else None
        while before is not None and before.name.endswith(("-dropout", "-dropout1")):
            before = before.input._keras_history.operation
        if before is not None and not before.name.startswith(("task-", "decoder-")):
            assert before.name == taps[-1]


@EVERY
def test_probabilities_are_the_activation_of_the_logits(name, small, built, batch):
    recipe, model = small(name), built(name)
    x = batch(recipe.input)
    logits, answers = numbers(compose.logits(model)(x)), numbers(model(x))
    assert list(logits) == list(answers)
    for key, task in zip(answers, recipe.tasks.values(), strict=True):
        if task.kind in ("mask", "image"):  # an answer for each pixel
            assert answers[key].ndim == len(recipe.input) + 1
        else:
            assert answers[key].shape == (2, task.units)
        assert np.isfinite(answers[key]).all()
        expected = ACTIVATIONS[task.output_activation](logits[key].astype("float64"))
        np.testing.assert_allclose(answers[key], expected, atol=1e-6, rtol=1e-5)


@EVERY
def test_views_share_every_layer(name, built):
    model = built(name)
    own = {id(weight) for weight in model.weights}
    assert {id(weight) for weight in compose.logits(model).weights} == own
    assert {id(weight) for weight in compose.embedding(model).weights} <= own


@EVERY
def test_embedding_is_a_vector(name, small, built, batch):
    (vector,) = numbers(compose.embedding(built(name))(batch(small(name).input))).values()
    assert vector.ndim == 2
    assert np.isfinite(vector).all()


@EVERY
def test_outline_accounts_for_every_weight_in_order(name, small, built):
    model, recipe = built(name), small(name)
    parts = compose.outline(model)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert sum(part.parameters for part in parts) == model.count_params()
    assert sum(part.trainable for part in parts) == trainable
    assert sum(part.layers for part in parts) == len(model.layers)
    kinds = [part.name for part in parts]
    stem = ["stem"] if recipe.stem else []
    tasks = [f"task-{task}" for task in recipe.tasks]
    learner = kinds[1 + len(stem) : len(kinds) - len(tasks)]
    assert kinds == ["input", *stem, *learner, *tasks]
    groups = [part for part in learner if re.fullmatch(r"learner-group\d+", part)]
    assert groups == [f"learner-group{i + 1}" for i in range(len(groups))]
    if isinstance(recipe.learner, Groups):
        assert len(groups) == len(recipe.learner.groups)


@COSTLY
def test_same_seed_same_weights_another_seed_others(name, small, built):
    models = (built(name), small(name).build(seed=0), small(name).build(seed=1))
    for was, again, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(again, was)
        if was.ndim > 1:  # kernels are drawn; biases and statistics start at 0 and 1
            assert not np.array_equal(other, was)


@COSTLY
def test_one_step_of_fit_on_the_logits(name, small, batch):
    recipe = small(name)
    model = recipe.build(seed=0)
    losses = {task: loss(record) for task, record in recipe.tasks.items()}
    view = compose.logits(model)
    view.compile(optimizer="sgd", loss=losses if len(losses) > 1 else next(iter(losses.values())))
    before = [weight.copy() for weight in model.get_weights()]  # on torch they are windows on the weights
    history = view.fit(batch(recipe.input), targets(recipe, view, 2), batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    changed = [not np.array_equal(was, now) for was, now in zip(before, model.get_weights(), strict=True)]
    assert any(changed)


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@COSTLY
@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_mixed_precision_gives_finite_answers(name, policy, small, batch):
    recipe = small(name)
    model = recipe.build(seed=0)
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    for answer in keras.tree.flatten(model(batch(recipe.input))):
        assert keras.ops.all(keras.ops.isfinite(answer))


@COSTLY
def test_saved_as_keras_and_loaded_gives_the_same_answers(name, small, built, batch, tmp_path):
    built(name).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = batch(small(name).input)
    for task, answer in numbers(built(name)(x)).items():
        np.testing.assert_allclose(numbers(loaded(x))[task], answer, atol=1e-6)  # it is plain Keras now
    assert compose.tap_names(loaded) == compose.tap_names(built(name))
    assert list(numbers(compose.logits(loaded)(x))) == list(numbers(compose.logits(built(name))(x)))


def test_smallest_pictures_of_the_smallest_recipe():
    """``compact`` is what training takes by itself, so it must fit images of 8 pixels."""
    model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
    assert model.get_layer("learner-group3-pool").output.shape == (None, 1, 1, 128)
    assert zoo.get("compact").learner.groups[0].pool == Pool(2, padding="same")


def test_every_row_comes_by_its_name():
    assert zoo.names() == tuple(zoo.TABLE)
    assert len(set(zoo.names())) == len(zoo.names())
    assert all(zoo.get(name) == zoo.TABLE[name] for name in zoo.names())
