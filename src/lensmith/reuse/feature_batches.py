"""Batches of cached features, in the form that training takes batches in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data import to_array
from lensmith.records import Problem, Records

_FIXED = ("class", "classes", "number")  # kinds of targets that stay what they are when an image is changed
_WHOLE = (*_FIXED, "points", "boxes")


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model gave for each of some records, in one or several views.

    Args:
        records: those whose images could be read in all views, in their order.
        arrays: by output, one row each: memory-mapped where they are kept on disk; not to be written to.
        places: int64 ``(views + 1, n)``: the row of each record in each view; view 0 is the image as it is.
        several: whether the model gives several outputs, as a dict by name.
        key: names the model and the preprocessing.
        checksum: of all the rows that ``places`` tells of.
        lost: the records that could not be read.
        computed: how many rows were computed now; the others were there.
    """

    records: Records
    arrays: Mapping[str, np.ndarray]
    places: np.ndarray
    several: bool
    key: str
    checksum: str
    lost: tuple[Problem, ...]
    computed: int

    def __len__(self) -> int:
        return len(self.records)

    @property
    def views(self) -> int:
        """How many views there are besides the images as they are."""
        return len(self.places) - 1

    def take(self, which: np.ndarray, view: int = 0) -> Any:
        """The rows of these records in one view: an array ``(n, …)``, or several by name; copies."""
        places = self.places[view][which]
        taken = {name: array[places] for name, array in self.arrays.items()}
        return taken if self.several else next(iter(taken.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the front of a model gave for each of some records, and the rest of the model to train on it.

    Args:
        front: what was computed once.
        rest: takes the features and gives what the model gives; it shares its layers with the model.
        frozen: the layers of ``rest`` that are to be left as they are, for ``train.Fit.freeze``.
        outputs: what the front gave.
        tasks: whose targets are delivered when nothing else is asked for.
    """

    front: Any
    rest: Any
    frozen: tuple[str, ...]
    outputs: Outputs
    tasks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def records(self) -> Records:
        """Those that could be read, in their order."""
        return self.outputs.records

    @property
    def lost(self) -> tuple[Problem, ...]:
        """The files that could not be read."""
        return self.outputs.lost

    @property
    def computed(self) -> int:
        """How many rows were computed now; the others were in the cache."""
        return self.outputs.computed

    def batches(
        self, size: int = 32, *, seed: int = 0, shuffle: bool = True, tasks: Sequence[str] | None = None
    ) -> FeatureBatches:
        """Batches of features and targets.

        Args:
            size: examples in a batch.
            seed: of the order, at least 0.
            shuffle: a new order every epoch; say False for validation and test.
            tasks: which targets to deliver; left out, those that the features were made for.

        Raises:
            SettingError: there is no such task, or its targets cannot be delivered; or another setting is wrong.
            DataError: a target is wrong; names the record.
        """
        check.positive("batch size", size)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise check.SettingError(check.sentence("seed", "a whole number of at least 0", repr(seed)))
        chosen = self.tasks if tasks is None else checked_tasks(self.records, tasks, self.outputs.views)
        targets = {task: _fixed(to_array(self.records, task)) for task in chosen}
        return FeatureBatches(self.outputs, MappingProxyType(targets), size, seed, shuffle)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatches:
    """Batches that are gathered from rows computed before; :meth:`Features.batches` makes them.

    They satisfy ``train.Batches``. Epoch ``e`` takes view ``e mod (views + 1)`` of each example, in an order that
    follows from the seed and the epoch's number.

    Args:
        outputs: the rows.
        targets: by task, one row an example, as ``data.batches`` encodes them.
        size: examples in a batch; the last may be smaller.
        seed: of the order.
        shuffle: whether the order changes from epoch to epoch; else it is that of the records.
    """

    outputs: Outputs
    targets: Mapping[str, np.ndarray]
    size: int
    seed: int
    shuffle: bool

    def __len__(self) -> int:
        return -(-len(self.outputs) // self.size)

    @property
    def fingerprint(self) -> str:
        """A hash of the rows, the settings and the targets, which decide the batches and their order."""
        outputs = self.outputs
        setting = [outputs.key, outputs.checksum, list(outputs.places.shape), self.size, self.seed, self.shuffle]
        digest = hashlib.sha256(json.dumps([*setting, list(self.targets)]).encode())
        digest.update("\n".join(record.source for record in outputs.records).encode(errors="surrogateescape"))
        for values in self.targets.values():
            digest.update(values.tobytes())
        return digest.hexdigest()

    def order(self, epoch: int) -> np.ndarray:
        """The places of the examples in the order in which this epoch takes them, as ``data.batches`` has it."""
        if not self.shuffle:
            return np.arange(len(self.outputs))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.outputs))

    def epoch(self, number: int) -> FeatureEpoch:
        """An iterator over one epoch's batches ``(x, y)``.

        ``x`` is ``(n, …)`` or a dict of such by the names of the rest's inputs; ``y`` the array of the one task, or
        arrays by task.
        """
        return FeatureEpoch(self, self.order(number), number % (self.outputs.views + 1))


class FeatureEpoch:
    """The batches of an epoch, one after the other, from a position that can be saved and set.

    Args:
        batches: whose epoch it is.
        order: the places of the examples.
        view: which view of them.
    """

    __slots__ = ("_batches", "_next", "_order", "_view")

    def __init__(self, batches: FeatureBatches, order: np.ndarray, view: int) -> None:
        self._batches, self._order, self._view, self._next = batches, order, view, 0

    def __iter__(self) -> FeatureEpoch:
        return self

    def __next__(self) -> tuple[Any, Any]:
        size = self._batches.size
        which = self._order[self._next * size : (self._next + 1) * size]
        if not len(which):
            raise StopIteration
        self._next += 1
        y = {task: values[which] for task, values in self._batches.targets.items()}
        return self._batches.outputs.take(which, self._view), next(iter(y.values())) if len(y) == 1 else y

    def get_state(self) -> dict[str, int]:
        """How many batches were taken."""
        return {"next": self._next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on behind so many batches of the same epoch."""
        self._next = int(state["next"])


def checked_tasks(records: Records, tasks: Sequence[str] | None, views: int) -> tuple[str, ...]:
    """The names of tasks whose targets can be delivered along with features.

    Raises:
        SettingError: there is no such task; its targets are masks; or they would have to follow the changes of views.
    """
    wanted = tuple(records.labels) if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
    for task in wanted:
        kind = records.labels[check.one_of("task", task, records.labels)].kind
        if kind not in (_FIXED if views else _WHOLE):
            expected = f"targets that stay as they are ({', '.join(_FIXED)})" if kind in _WHOLE else "no masks"
            remedy = "Take no views" if kind in _WHOLE else "Train with the backbone in the loop"
            raise check.SettingError(check.sentence(f"features: task {task}", expected, kind, remedy))
    return wanted


def _fixed(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values
