"""What is looked into: a model with what it needs to be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.data import Preprocessing
from lensmith.records import Labels, Record

Example = Record | np.ndarray | Path | str


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model, how an example is preprocessed for it, and what its outputs mean.

    Args:
        model: any ``keras.Model`` made of connected layers, with one input.
        preprocessing: what happens to an example before it enters.
        labels: the names of the outputs by task; may be empty, or lack some.
        name: what pages and messages call it.
        notes: what had to be assumed of it, each in a sentence.

    Raises:
        SettingError: the preprocessing does not give what the model takes.
    """

    model: Any
    preprocessing: Preprocessing
    labels: Mapping[str, Labels] = field(default_factory=dict)
    name: str = "model"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = tuple(self.model.input_shape[1:])
        got = self.preprocessing.shape
        fits = len(expected) == len(got) and all(
            side in (None, other) for side, other in zip(expected, got, strict=True)
        )
        if not fits:
            raise check.SettingError(check.sentence("preprocessing", f"the shape the model takes, {expected}", got))

    def inputs(self, examples: Sequence[Example]) -> np.ndarray:
        """What enters the model for these examples: float32 ``(examples, …)``.

        Raises:
            DataError: one of them cannot be read; it is named.
        """
        return np.stack([self.preprocessing(example) for example in examples])

    def batches(self, examples: Iterable[Example], size: int = 32) -> Iterator[np.ndarray]:
        """As :meth:`inputs`, a batch at a time, so that memory does not grow with their number.

        Raises:
            DataError: one of them cannot be read; it is named.
        """
        check.positive("batch", size)
        waiting: list[np.ndarray] = []
        for example in examples:
            waiting.append(self.preprocessing(example))
            if len(waiting) == size:
                yield np.stack(waiting)
                waiting = []
        if waiting:
            yield np.stack(waiting)

    def predict(self, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        """What the model says of examples, at least one: float32 ``(examples, …, units)`` by task.

        Raises:
            DataError: one of them cannot be read; it is named.
        """
        found = [self._by_task(backend.predict(self.model, batch)) for batch in self.batches(examples)]
        return {task: np.concatenate([outputs[task] for outputs in found]) for task in found[0]}

    def _by_task(self, outputs: Any) -> dict[str, np.ndarray]:
        if isinstance(outputs, Mapping):
            return dict(outputs)
        several = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        tasks = list(self.labels) if len(self.labels) == len(several) else [str(i) for i in range(len(several))]
        return dict(zip(tasks, several, strict=True))
