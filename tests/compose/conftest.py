"""What this room's tests share: every zoo row, small enough to build in a moment, and weights any machine can draw."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.compose import ConvStem, Dense, Groups, Recipe, zoo

# Odd and not square on purpose; a row takes the first that its strides and pools leave something of.
SIZES = ((33, 47), (47, 65), (81, 95))


def _narrow(recipe: Recipe) -> Recipe:
    """The same structure: a quarter of the filters, little hidden layers, two blocks a group, the rest being alike."""
    stem, learner = recipe.stem, recipe.learner
    if isinstance(stem, ConvStem):
        stem = replace(stem, filters=stem.filters // 4)
    if isinstance(learner, Dense):
        learner = replace(learner, units=tuple(min(width, 16) for width in learner.units))
    if isinstance(learner, Groups):
        quarters = [tuple(filters // 4 for filters in group.each_filters[:2]) for group in learner.groups]
        groups = zip(learner.groups, quarters, strict=True)
        learner = Groups(*(replace(group, filters=filters, blocks=None) for group, filters in groups))
    tasks = {name: replace(task, hidden=tuple(8 for _ in task.hidden)) for name, task in recipe.tasks.items()}
    return replace(recipe, stem=stem, learner=learner, tasks=tasks)


@cache
def _built(name: str) -> tuple[Recipe, Any]:
    recipe = _narrow(zoo.get(name))
    if not isinstance(recipe.learner, Groups):
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
