"""Moving averages of the weights: kept by the optimizer, measured and given back in place of the weights themselves.

The average after each step is ``momentum * average + (1 - momentum) * weight``, from the weights after the first step
on. Training goes on with the weights; both are in each checkpoint, the averages among the optimizer's variables.

References:
    Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992, Section 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lensmith.train.state import arrays_of, put


def averages(model: Any) -> list[Any]:
    """The variables that hold the averages, in the order of the model's trained ones; none where it keeps none."""
    optimizer = model.optimizer
    return list(optimizer._model_variables_moving_average) if getattr(optimizer, "use_ema", False) else []


def lay(model: Any) -> None:
    """Give the trained weights of a model the values of their averages, where it keeps any and has made a step."""
    kept = averages(model)
    if not kept or int(model.optimizer._iterations) == 0:
        return
    # By way of numpy: a step on JAX takes its weights' memory for its own, which must not be that of the averages.
    for weight, average in zip(model.optimizer._trainable_variables, arrays_of(kept).values(), strict=True):
        weight.assign(average)


@contextlib.contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Let a model have the averages of its weights for as long as the context lasts; afterwards it has its own bits."""
    if not averages(model):
        yield
        return
    weights = model.optimizer._trainable_variables
    own = arrays_of(weights)
    lay(model)
    try:
        yield
    finally:
        put(weights, own, "weights beside their averages")
