"""The answers of two models to one task, gathered a batch at a time: what :mod:`lensmith.probe.comparing` counts."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lensmith.probe.agreement import ClassAgreement, Disagreement, NumberAgreement, correct, correlation
from lensmith.probe.subject import Example
from lensmith.probe.walking import class_of, small, source_of
from lensmith.records import Labels, Record

THRESHOLD = 0.5  # from which on a class is said to be there
PICTURE = 96  # pixels of the longer side of a picture that is kept

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Examples, and what both models answered: by the task of each, float64 ``(examples, names)``."""

    examples: tuple[tuple[int, Example], ...]
    first: Outputs
    second: Outputs


@dataclass(slots=True, eq=False)
class Tally:
    """What is kept of the answers of one pair of tasks.

    Args:
        tasks: of the first model and of the second.
        mine: what the first model's outputs mean.
        theirs: what the second's mean.
        known: what the targets of the records mean, by task.
        count: how many examples to keep of those that are furthest apart.
    """

    tasks: tuple[str, str]
    mine: Labels
    theirs: Labels
    known: Mapping[str, Labels]
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.mine.names, *self.only_second)

    @property
    def only_first(self) -> tuple[str, ...]:
        return tuple(name for name in self.mine.names if name not in self.theirs.names)

    @property
    def only_second(self) -> tuple[str, ...]:
        return tuple(name for name in self.theirs.names if name not in self.mine.names)

    def task_of(self, example: Example) -> str | None:
        """Under which of the two names a record holds its target."""
        targets = example.targets if isinstance(example, Record) else {}
        return next((task for task in self.tasks if task in targets and task in self.known), None)


@dataclass(slots=True, eq=False)
class Classes(Tally):
    """Of two tasks that choose a class: the answers, and the surest disagreements."""

    chosen: list[tuple[int, int]] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    distance: float = 0.0
    surest: list[tuple[float, int, Disagreement]] = field(default_factory=list)

    def add(self, answered: Answered) -> None:
        names, width = self.names, len(self.mine.names)
        count = len(answered.examples)
        one, other = np.zeros((count, len(names))), np.zeros((count, len(names)))
        one[:, :width] = answered.first[self.tasks[0]]
        other[:, [names.index(name) for name in self.theirs.names]] = answered.second[self.tasks[1]]
        # Of equally probable classes, the first in the model's own order.
        answers = one[:, :width].argmax(axis=1).tolist()
        own = answered.second[self.tasks[1]].argmax(axis=1).tolist()
        others = [names.index(self.theirs.names[i]) for i in own]
        self.distance += float(np.abs(one - other).sum() / 2)
        for row, ((place, example), a, b) in enumerate(zip(answered.examples, answers, others, strict=True)):
            truth = class_of(example, self.task_of(example), self.known)
            self.chosen.append((a, b))
            self.truths.append(truth)
            if a != b:
                self._keep(place, example, (a, b), one[row], other[row], truth)

    def _keep(
        self,
        place: int,
        example: Example,
        answers: tuple[int, int],
        one: np.ndarray,
        other: np.ndarray,
        truth: str,
        about: str = "",
    ) -> None:
        a, b = answers
        difference = float(one[a] - one[b] + other[b] - other[a]) / 2
        if len(self.surest) == self.count and difference <= self.surest[0][0]:
            return
        found = Disagreement(
            place,
            source_of(example, place),
            about + self.names[a],
            about + self.names[b],
            float(one[a]),
            float(other[b]),
            difference,
            about + truth if truth else "",
            small(example, PICTURE),
        )
        (heapq.heappush if len(self.surest) < self.count else heapq.heappushpop)(
            self.surest, (difference, -len(self.chosen), found)
        )

    def result(self) -> ClassAgreement:
        names = self.names
        matrix = np.zeros((len(names), len(names)), np.int64)
        np.add.at(matrix, tuple(np.array(self.chosen).T), 1)
        said = [[names[answers[which]] for answers in self.chosen] for which in (0, 1)]
        ordered = tuple(found for _, _, found in sorted(self.surest, key=lambda one: one[:2], reverse=True))
        return ClassAgreement(
            self.tasks,
            names,
            self.only_first,
            self.only_second,
            matrix,
            self.distance / len(self.chosen),
            ordered,
            correct(self.truths, *said),
        )


@dataclass(slots=True, eq=False)
class Decisions(Classes):
    """Of two tasks that say yes or no to each of several classes: an answer for each example and class both know."""

    @property
    def names(self) -> tuple[str, ...]:
        return "no", "yes"

    def add(self, answered: Answered) -> None:
        shared = [name for name in self.mine.names if name in self.theirs.names]
        one = answered.first[self.tasks[0]][:, [self.mine.names.index(name) for name in shared]]
        other = answered.second[self.tasks[1]][:, [self.theirs.names.index(name) for name in shared]]
        self.distance += float(np.abs(one - other).sum())
        for row, (place, example) in enumerate(answered.examples):
            truths = self._truth(example, shared)
            for a, b, name, truth in zip(one[row], other[row], shared, truths, strict=True):
                answers = int(a >= THRESHOLD), int(b >= THRESHOLD)
                self.chosen.append(answers)
                self.truths.append(truth)
                if answers[0] != answers[1]:
                    pairs = np.array([1 - a, a]), np.array([1 - b, b])
                    self._keep(place, example, answers, *pairs, truth, f"{name}: ")

    def _truth(self, example: Example, shared: Sequence[str]) -> list[str]:
        task = self.task_of(example)
        if task is None or self.known[task].kind != "classes" or not isinstance(example, Record):
            return [""] * len(shared)
        labels = self.known[task].names
        held = {labels[i] for i in example.targets[task]}  # type: ignore[union-attr, index]
        return [("yes" if name in held else "no") if name in labels else "" for name in shared]


@dataclass(slots=True, eq=False)
class Numbers(Tally):
    """Of two tasks that give numbers: all of them."""

    sources: list[str] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)  # (examples, 3, names): first, second, truth or NaN

    def add(self, answered: Answered) -> None:
        shared = [name for name in self.mine.names if name in self.theirs.names]
        one = answered.first[self.tasks[0]][:, [self.mine.names.index(name) for name in shared]]
        other = answered.second[self.tasks[1]][:, [self.theirs.names.index(name) for name in shared]]
        truth = np.stack([self._truth(example, shared) for _, example in answered.examples])
        self.values.append(np.stack([one, other, truth], axis=1))
        self.sources += [source_of(example, place) for place, example in answered.examples]

    def _truth(self, example: Example, shared: Sequence[str]) -> np.ndarray:
        task = self.task_of(example)
        if task is None or self.known[task].kind != "number" or not isinstance(example, Record):
            return np.full(len(shared), np.nan)
        held = dict(zip(self.known[task].names, np.ravel(example.targets[task]).tolist(), strict=False))  # type: ignore[arg-type]
        return np.array([held.get(name, np.nan) for name in shared], np.float64)

    def result(self) -> NumberAgreement:
        one, other, truth = np.moveaxis(np.concatenate(self.values), 1, 0)
        apart = np.abs(one - other)
        deviation = np.concatenate([one, other]).std(axis=0)
        far = (apart / np.where(deviation > 0, deviation, 1)).max(axis=1)
        order = [i for i in np.argsort(-far, kind="stable")[: self.count].tolist() if far[i] > 0]
        return NumberAgreement(
            self.tasks,
            tuple(name for name in self.mine.names if name in self.theirs.names),
            self.only_first,
            self.only_second,
            len(one),
            tuple(apart.mean(axis=0).tolist()),
            tuple(correlation(*pair) for pair in zip(one.T, other.T, strict=True)),
            tuple(_errors(*each) for each in zip(one.T, other.T, truth.T, strict=True)),
            tuple((self.sources[i], tuple(one[i].tolist()), tuple(other[i].tolist())) for i in order),
        )


def _errors(one: np.ndarray, other: np.ndarray, truth: np.ndarray) -> tuple[float, float] | None:
    known = np.isfinite(truth)
    if not known.any():
        return None
    return tuple(float(np.abs(values - truth)[known].mean()) for values in (one, other))  # type: ignore[return-value]


TALLIES: Mapping[str, type[Classes] | type[Decisions] | type[Numbers]] = {
    "class": Classes,
    "classes": Decisions,
    "number": Numbers,
}
