"""Two models on the same images: task by task, how far they agree, and where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from lensmith import check
from lensmith.probe.agreement import ClassAgreement, NumberAgreement
from lensmith.probe.subject import Example
from lensmith.probe.tallying import TALLIES, Answered, Outputs
from lensmith.probe.walking import Progress, labels_of, listed, none_left, source_of
from lensmith.records import Labels, Problem, Record

_SHOWN = 6  # names in a message


class Predictor(Protocol):
    """What predicts: a saved model, an artifact, or anything else that gives probabilities or numbers by task."""

    @property
    def labels(self) -> Mapping[str, Labels]:
        """What the outputs mean, by task."""

    def predict(self, examples: Any, /) -> Mapping[str, np.ndarray]:
        """The outputs ``(examples, units)`` by task: probabilities, or numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Args:
        first: what the first model is called.
        second: what the second is called.
        examples: how many both answered.
        classes: the tasks that choose a class.
        numbers: the tasks that give numbers.
        left_out: tasks that are not compared, and why.
        set_aside: examples that one of the two cannot answer, and why.
    """

    first: str
    second: str
    examples: int
    classes: tuple[ClassAgreement, ...]
    numbers: tuple[NumberAgreement, ...]
    left_out: tuple[Problem, ...]
    set_aside: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, without the pictures."""
        return {
            "first": self.first,
            "second": self.second,
            "examples": self.examples,
            "classes": [one.to_dict() for one in self.classes],
            "numbers": [one.to_dict() for one in self.numbers],
            "left_out": [{"task": one.source, "reason": one.reason} for one in self.left_out],
            "set_aside": listed(self.set_aside),
        }


def compare(
    first: Predictor,
    second: Predictor,
    examples: Iterable[Example],
    *,
    names: tuple[str, str] = ("A", "B"),
    count: int = 24,
    batch: int = 32,
    labels: Mapping[str, Labels] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Let two models answer the same examples, each with its own preprocessing.

    Tasks are matched by name, and classes by theirs, whatever their order. Where no task has a name in common and
    each model has one task alone, these two are compared. A batch of examples is in memory at once, and of all others
    the answers.

    Args:
        first: a model with labels, such as a saved model or an artifact.
        second: the other.
        examples: records, files, pixels or rows; read once, in order.
        names: what the two are called.
        count: how many disagreements to keep for each task, at most.
        batch: examples at a time.
        labels: what the targets of the records mean, by task; left out, what their reader said, else the first
            model's labels. Who was right is told where a record holds a target.
        progress: told how many are done after each batch.

    Returns:
        Examples that one of them cannot read, or answers with no number, are set aside.

    Raises:
        SettingError: nothing that both answer can be compared, or a setting is wrong.
        DataError: there are no examples, or not one of them can be used.
    """
    check.positive("count", count)
    check.positive("batch", batch)
    matched, left_out = _matched(first.labels, second.labels, names)
    known = labels_of(examples, first.labels) if labels is None else labels
    tallies = [
        TALLIES[first.labels[one].kind]((one, other), first.labels[one], second.labels[other], known, count)
        for one, other in matched
    ]
    total = len(examples) if isinstance(examples, Sized) else None
    waiting, done, set_aside = iter(examples), 0, list[Problem]()

    def step() -> int:
        # A function of its own: when it ends, nothing holds the batch any more.
        chunk = [(done + i, example) for i, example in enumerate(islice(waiting, batch))]
        for answered in _answered((first, second), matched, chunk, names, set_aside) if chunk else ():
            for tally in tallies:
                tally.add(answered)
        return len(chunk)

    while found := step():
        done += found
        if progress is not None:
            progress(done, total)
    if done == len(set_aside):
        raise none_left(set_aside)
    results = [tally.result() for tally in tallies]
    return Comparison(
        *names,
        done - len(set_aside),
        tuple(one for one in results if isinstance(one, ClassAgreement)),
        tuple(one for one in results if isinstance(one, NumberAgreement)),
        left_out,
        tuple(set_aside),
    )


def _matched(
    mine: Mapping[str, Labels], theirs: Mapping[str, Labels], names: tuple[str, str]
) -> tuple[list[tuple[str, str]], tuple[Problem, ...]]:
    """The tasks that can be compared, and why others cannot."""
    pairs = [(task, task) for task in mine if task in theirs]
    if not pairs and len(mine) == len(theirs) == 1:
        pairs = [(next(iter(mine)), next(iter(theirs)))]
    taken = {task for pair in pairs for task in pair}
    left_out = [Problem(task, f"only {names[0]} has it") for task in mine if task not in taken]
    left_out += [Problem(task, f"only {names[1]} has it") for task in theirs if task not in taken]
    matched = []
    for pair in pairs:
        reason = _reason(mine[pair[0]], theirs[pair[1]])
        if reason:
            left_out.append(Problem(" and ".join(dict.fromkeys(pair)), reason))
        else:
            matched.append(pair)
    if not matched:
        reasons = "; ".join(f"{one.source}: {one.reason}" for one in left_out) or "models without tasks"
        raise check.SettingError(check.sentence("models", "a task that both have and that can be compared", reasons))
    return matched, tuple(left_out)


def _reason(mine: Labels, theirs: Labels) -> str:
    """Why two tasks cannot be compared; empty where they can."""
    if mine.kind != theirs.kind:
        return f"one is of kind {mine.kind!r}, the other of kind {theirs.kind!r}"
    if mine.kind not in TALLIES:
        return f"tasks of kind {mine.kind!r} are not compared"
    if not set(mine.names) & set(theirs.names):
        return f"no name in common: {_some(mine.names)} against {_some(theirs.names)}"
    return ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _answered(
    models: tuple[Predictor, Predictor],
    matched: Sequence[tuple[str, str]],
    chunk: Sequence[tuple[int, Example]],
    names: tuple[str, str],
    set_aside: list[Problem],
) -> Iterator[Answered]:
    """What both answer; where one of them cannot read an example, each is asked about alone."""
    try:
        given = [model.predict([example for _, example in chunk]) for model in models]
    except check.DataError as error:
        if len(chunk) > 1:
            for one in chunk:
                yield from _answered(models, matched, [one], names, set_aside)
            return
        place, example = chunk[0]
        source = source_of(example, place)
        reason = str(error).removeprefix(f"{source}: ")
        image = example.image if isinstance(example, Record) else "example 1"
        set_aside.append(Problem(source, reason.removeprefix(f"{image}: ")))
        return
    outputs = [
        {pair[which]: _values(given[which], models[which].labels, pair[which], len(chunk), name) for pair in matched}
        for which, name in enumerate(names)
    ]
    good = np.ones(len(chunk), bool)
    for name, found in zip(names, outputs, strict=True):
        finite = np.logical_and.reduce([np.isfinite(values).all(axis=1) for values in found.values()])
        lost = [chunk[i] for i in np.flatnonzero(good & ~finite).tolist()]
        set_aside += [Problem(source_of(one, place), f"the answer of {name} is no number") for place, one in lost]
        good &= finite
    if good.any():
        kept = tuple(one for one, fine in zip(chunk, good, strict=True) if fine)
        first, second = ({task: values[good] for task, values in found.items()} for found in outputs)
        yield Answered(kept, first, second)


def _values(outputs: Outputs, labels: Mapping[str, Labels], task: str, count: int, name: str) -> np.ndarray:
    """One number a name: of a single probability, that of the first class too."""
    values = np.asarray(outputs[task], np.float64)
    width = len(labels[task].names)
    if labels[task].kind == "class" and values.shape == (count, 1) and width == 2:
        values = np.concatenate([1 - values, values], axis=1)
    if values.shape != (count, width):
        raise check.SettingError(check.sentence(f"{name}: {task}", f"an array ({count}, {width})", values.shape))
    return values
