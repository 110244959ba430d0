"""What this room's tests share: every zoo row, small enough to build in a moment, and weights any machine can draw."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Dense, Group, Groups, Recipe, Steps, zoo
from lensmith.compose.cells import CellGroup
from lensmith.compose.layers import Maker
from lensmith.compose.recipe import assemble
from lensmith.compose.weights import assign

# Odd and not square on purpose; a row takes the first that its strides and pools leave something of.
SIZES = ((33, 47), (47, 65), (81, 95), (189, 203))


# Rows whose every test is quick enough for each change, besides the first of each family; the others run as slow ones.
QUICK = {"compact", "conv-digits", "histology-v3", "dense-multi-task", "dense-digits-dropout"}
QUICK |= {"resnet18-v2", "resnet50-v1.5", "resnet50-v2-keras", "resnet20-cifar-v2"}
QUICK |= {"mobilenet-v2", "mobilenet-v3-small", "squeezenet-1.1", "squeezenet-1.0-complex", "alexnet-one-tower"}
QUICK |= {next(iter(family.recipes)) for family in zoo.FAMILIES}
# JAX and TensorFlow compile every operation anew for every shape: one row of each kind of block is enough there.
ELSEWHERE = {"dense-multi-task", "compact", "histology-v3", "resnet18-v2", "resnet50-v2-keras", "densenet121"}
ELSEWHERE |= {"googlenet", "mobilenet-v2", "shufflenet-v1-g1", "squeezenet-1.0", "alexnet", "unet"}


@pytest.hookimpl(tryfirst=True)  # before pytest leaves the slow ones out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is done to every row of the zoo as slow, but for the quick rows."""
    quick = QUICK if keras.config.backend() == "torch" else ELSEWHERE
    for item in items:
        if item.path.stem in ("test_zoo_contract", "test_zoo_golden") and isinstance(item, pytest.Function):
            params = getattr(item, "callspec", None)
            row = params.params.get("name", params.params.get("row")) if params else None
            if row in zoo.TABLE and row not in quick:
                item.add_marker(pytest.mark.slow)


def _narrow(recipe: Recipe, share: int) -> Recipe:
    """The same structure: a fraction of the filters, little hidden layers, two blocks where a group repeats one."""
    tasks = {name: _narrow_head(task) for name, task in recipe.tasks.items()}
    stem, learner = _narrowed(recipe.stem, share), _narrowed(recipe.learner, share)
    return replace(recipe, stem=stem, learner=learner, tasks=tasks, auxiliaries=())


def _narrow_head(task: Any) -> Any:
    return replace(task, hidden=tuple(8 for _ in task.hidden)) if hasattr(task, "hidden") else task


def _narrowed(part: Any, share: int) -> Any:
    if isinstance(part, tuple):
        return tuple(_narrowed(item, share) for item in part)
    if isinstance(part, Dense):
        return replace(part, units=tuple(min(width, 16) for width in part.units))
    if isinstance(part, Groups):
        return Groups(*(_narrowed(group, share) for group in part.groups))
    if isinstance(part, Steps):
        return Steps(*(_narrowed(step, share) for step in part.steps))
    if not is_dataclass(part):
        return part
    changes = {item.name: _narrowed(getattr(part, item.name), share) for item in fields(part)}
    if isinstance(part, Group) and not isinstance(part.block, tuple):
        changes["blocks"] = None if part.filters else min(part.blocks or 1, 2)
        changes["filters"] = part.each_filters[:2] if part.filters else None
    if isinstance(part, CellGroup):
        changes["cells"] = min(part.cells, 2)
    if changes.get("filters"):
        wide = changes["filters"]
        changes["filters"] = tuple(f // share for f in wide) if isinstance(wide, tuple) else max(wide // share, 1)
    return replace(part, **changes)


@cache
def _built(name: str) -> tuple[Recipe, Any]:
    """The first of the narrow recipes and small images that fit: grouped convolutions take no width at all."""
    whole = zoo.get(name)
    for share in (4, 2, 1):
        recipe = _narrow(whole, share)
        if len(recipe.input) == 1 or isinstance(recipe.learner, Dense) or recipe.learner is None:
            return recipe, recipe.build(seed=0)
        for size in SIZES:
            smaller = replace(recipe, input=(*size, recipe.input[-1]))
            with contextlib.suppress(check.SettingError):  # the image is too small
                return smaller, smaller.build(seed=0)
    raise AssertionError(f"{name} fits none of {SIZES}")


@pytest.fixture(scope="session")
def small() -> Callable[[str], Recipe]:
    """``small(name)``: the zoo's recipe, narrow, on the smallest odd and non-square image that fits it."""
    return lambda name: _built(name)[0]


@pytest.fixture(scope="session")
def built() -> Callable[[str], Any]:
    """``built(name)``: the small recipe's model from seed 0, built once for all tests: leave its weights alone."""
    return lambda name: _built(name)[1]


@pytest.fixture(scope="session")
def batch() -> Callable[..., np.ndarray]:
    """``batch(shape, size)``: repeatable float32 numbers between 0 and 1, of the shape ``(size, *shape)``."""

    def draw(shape: tuple[int, ...], size: int = 2) -> np.ndarray:
        return np.random.default_rng(7).random((size, *shape), dtype=np.float32)

    return draw


@pytest.fixture(scope="session")
def fill() -> Callable[[Any], Any]:
    """``fill(model)``: set all weights to numbers that numpy draws, the same on every machine; returns the model."""

    def draw(model: Any) -> Any:
        for weight in model.weights:
            rng = np.random.default_rng(zlib.crc32(weight.path.encode()))
            weight.assign(_numbers(rng, weight.path.rsplit("/", 1)[1], tuple(weight.shape)).astype("float32"))
        return model

    return draw


@pytest.fixture(scope="session")
def same_numbers(batch: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """``same_numbers(reference, arrays, recipe, names, pairs)``: a recipe computes what a model of Keras does.

    The reference's arrays by name go through the name map, which must account for every one; then the layers of each
    pair, ours and theirs, give the same to 1e-5 of the largest value. It returns our model.
    """

    def judge(reference: Any, arrays: Any, recipe: Recipe, names: Any, pairs: dict[str, str]) -> Any:
        model = assemble(recipe, Maker(seed=0, empty=True, conventions=recipe.conventions), auxiliaries=False)
        report = assign(model, arrays, names)
        assert (len(report.loaded), report.left, report.unused) == (len(model.weights), (), ())
        x = batch(recipe.input)
        found = keras.Model(model.input, [model.get_layer(layer).output for layer in pairs])(x)
        expected = keras.Model(reference.input, [reference.get_layer(layer).output for layer in pairs.values()])(x)
        for ours, theirs in zip(found, expected, strict=True):
            theirs = keras.ops.convert_to_numpy(theirs)
            ours = keras.ops.convert_to_numpy(ours)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
        return model

    return judge


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """``refused(make, *words)``: ``make()`` raises one SettingError of one line with all these words in it."""

    def judge(make: Callable[[], Any], *words: str) -> None:
        with pytest.raises(check.SettingError) as caught:
            make()
        text = str(caught.value)
        assert "\n" not in text
        assert [word for word in words if word not in text] == [], text

    return judge


def _numbers(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "kernel":
        return rng.normal(0, math.sqrt(2 / math.prod(shape[:-1])), shape)
    if kind == "gamma":  # below 1, so that 50 residual blocks do not add up to millions
        return rng.uniform(0.2, 0.6, shape)
    if kind == "moving_variance":
        return rng.uniform(0.5, 1.5, shape)
    return rng.normal(0, 0.1, shape)
