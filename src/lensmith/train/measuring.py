"""Measuring a model on batches, without learning from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.train import memory
from lensmith.train.compiled import Compiled, Values, compiled, fitted
from lensmith.train.job import Batches
from lensmith.train.measures import Gathered
from lensmith.train.objective import Objective


def evaluate(model: Any, batches: Batches, objectives: Mapping[str, Objective]) -> dict[str, float]:
    """The loss and each metric of a model, exactly, over all examples of the batches.

    Args:
        model: a ``keras.Model`` whose outputs are logits; it is compiled anew.
        batches: the examples.
        objectives: losses and metrics, by task.

    Returns:
        ``loss`` and the metrics by name; with several tasks also each task's loss, and names that
        begin with the task's.

    Raises:
        DataError: there are no batches, or a label is outside the range of the model's head.
        LensmithError: memory does not suffice for a batch.
    """
    return measure(compiled(model, objectives), batches, place="evaluation", asked=())


def measure(steps: Compiled, batches: Batches, *, place: str, asked: Sequence[str]) -> dict[str, float]:
    """The values over all batches, or over those before a request to stop."""
    values: Values = {}
    gathered = Gathered(steps.model, steps.objectives)
    for x, y in batches.epoch(0):
        if asked:
            return {}
        y = fitted(steps.tasks, y, place)
        try:
            if not values:
                steps.build(x, y)
                steps.model.reset_metrics()
            values = steps.test(x, y)
            gathered.add(x, y)
        except Exception as error:
            if memory.out_of_memory(error):
                step = steps.model.test_on_batch
                raise memory.refusal(error, steps.model, step, x, y, place, "Nothing was changed") from error
            raise
    if not values:
        raise check.DataError(f"{place}: there are no batches to measure on")
    return steps.floats(values) | gathered.result()
