"""Mixed precision: a model is trained with computations in half the bits, and kept in whole ones.

Under ``mixed_bfloat16`` every layer computes in bfloat16 (8 bits of exponent, as float32, and 7 of fraction) with
weights that stay float32; the last layer of each head computes in float32, and so does the loss. What is saved, judged,
shipped and proven is the float32 model with the same weights.

bfloat16 has the range of float32, so that no gradient is lost to underflow. float16 has not: it would need a scale of
the loss that follows the gradients, which the steps of a run do not keep; it is refused.

References:
    Micikevicius et al., Mixed Precision Training, 2018, Sections 3.1 and 3.3.
    Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019, Section 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Recipe
from lensmith.compose.views import heads_found
from lensmith.runs.spec import Precision
from lensmith.train.state import arrays_of, put


@contextlib.contextmanager
def computing(precision: Precision) -> Iterator[None]:
    """Let layers that are made in this context compute so; the policy before comes back after it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build(recipe: Recipe, precision: Precision, *, seed: int, auxiliaries: bool = True) -> Any:
    """The model as it is trained: with its auxiliary heads, and computing as ``precision`` says.

    Its weights are float32 and have the values and names of ``recipe.build(seed=seed, auxiliaries=auxiliaries)``.

    Example:
        >>> from lensmith.compose import Classify, Dense, Recipe
        >>> model = build(Recipe((4,), None, Dense((3,)), {"label": Classify(2)}), "mixed_bfloat16", seed=0)
        >>> sorted({layer.compute_dtype for layer in model.layers if layer.weights}), {w.dtype for w in model.weights}
        (['bfloat16', 'float32'], {'float32'})
    """
    if precision == "float32":
        return recipe.build(seed=seed, auxiliaries=auxiliaries)
    with computing(precision):
        model = recipe.build(seed=seed, auxiliaries=auxiliaries)
    for name in heads_found(model).values():
        # Logits in bfloat16 would have three digits: too few for the loss, and for the numbers of a regression.
        model.get_layer(name).dtype_policy = keras.dtype_policies.get("float32")
    return model


def used(trained: Any, recipe: Recipe, precision: Precision) -> Any:
    """The model as it is used: in float32 and without auxiliary heads.

    Trained in float32, it is a view of the trained one; else a model of its own, which :func:`settle` brings up to it.
    """
    if precision == "float32":
        return compose.without_auxiliaries(trained)
    model = recipe.build(seed=0)
    settle(model, trained)
    return model


def settle(model: Any, trained: Any) -> None:
    """Give the model as it is used the weights that the trained one has; a view of it has them already."""
    source = compose.without_auxiliaries(trained)
    if {id(one) for one in source.variables} != {id(one) for one in model.variables}:
        put(list(model.variables), arrays_of(list(source.variables)), "the model in float32")
