"""Pseudo-labels: what a trained model is sure of becomes the target of unlabelled examples, and it is trained again.

References:
    Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks", 2013,
    section 2: the class of the highest probability is taken for the true one. Here it must reach a threshold, and no
    image that validation or test know may be among those labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.data.inspection.duplicates import find
from lensmith.data.inspection.looking import Look, look_closely, open_all
from lensmith.records import Labels, Record, Records, Target
from lensmith.reuse.unlabelled import placed, places

FACT = "pseudo-label"  # of a record that was labelled so: how sure the model was, 0..1
_ROUNDING = 1e-3  # by which the probabilities of all classes may miss 1 together


@dataclass(frozen=True, slots=True, eq=False)
class Pseudo:
    """Unlabelled examples that a model was sure of.

    Args:
        records: these, with the answers as targets, of the part ``train``, in the order they came in. Each has the fact
            ``pseudo-label``: how sure the model was.
        confidence: the same as float32 of shape ``(n,)``: the least over all tasks.
        left: how many examples were left out.
        by_class: how many examples each class got, by task and name.
    """

    records: Records
    confidence: np.ndarray
    left: int
    by_class: Mapping[str, Mapping[str, int]]


def label(
    model: Any,
    records: Records,
    preprocessing: Preprocessing,
    labels: Mapping[str, Labels],
    *,
    above: float = 0.95,
    tasks: Sequence[str] | None = None,
    most: int | None = None,
    batch: int = 64,
) -> Pseudo:
    """Label the examples that a model is sure of.

    Sure of one class of several is who gives it a probability of at least ``above``; of a yes or no, and of each of
    several labels at once, who gives at least ``above`` or at most ``1 - above``. With several tasks, all must be so.

    Args:
        model: a ``keras.Model`` whose outputs are probabilities, as a recipe's are: one, or a dict by task.
        records: unlabelled; targets they have are not looked at. None of the validation and test part may be among
            them: see :func:`held_out`.
        preprocessing: of the model's input.
        labels: what the targets mean, by task: those of the training part.
        above: 0.5 to 1.
        tasks: which of the labels to give; None gives all.
        most: labelled examples a class, the surest first, so that one easy class does not drown the others; None
            takes all.
        batch: examples at a time.

    Raises:
        DataError: there is nothing to label, or the model's outputs are no probabilities of these classes.
        SettingError: a setting is wrong, or a task is not one of classes.
    """
    if not records:
        remedy = "Give others than those that training, validation or test know"
        raise check.DataError(check.sentence(records.name, "unlabelled examples", "none", remedy))
    check.between("pseudo-label.above", above, 0.5, 1.0)
    if most is not None:
        check.positive("pseudo-label.most", most)
    wanted = _classes(labels, tasks)
    there, outputs = _outputs(model, records, preprocessing, wanted, batch)
    sureness = np.min([_sureness(wanted[task], outputs[task]) for task in wanted], axis=0)
    answers = {task: _answers(wanted[task], outputs[task]) for task in wanted}
    sure = [row for row in np.argsort(-sureness, kind="stable").tolist() if sureness[row] >= np.float32(above)]
    if most is not None:
        sure = list(_capped(sure, answers, most))
    items = [
        _labelled(records[there[row]], {task: answers[task][row] for task in wanted}, float(sureness[row]))
        for row in sorted(sure)
    ]
    kept = replace(records, items=tuple(items), labels=wanted, set_aside=())
    by_class = {task: kept.counts(task) for task in wanted}
    return Pseudo(kept, sureness[sorted(sure)], len(records) - len(kept), by_class)


def held_out(records: Records, *others: Records, groups: Sequence[Records] = ()) -> Records:
    """The examples that none of the others knows: neither the same pixels nor a near copy stands there.

    Near copies are what the audit takes for such: the same picture encoded, resized, lit or cropped anew. Where a good
    part of the images is alike anyway, as drawings are, only the same pixels count. Rows count by their numbers.
    Examples that cannot be read are set aside.

    Args:
        records: unlabelled.
        others: the training, validation and test part.
        groups: parts of whose groups (a patient, a video) none may come either: validation and test.

    Example:
        >>> digits = data.bundled("digits")
        >>> len(held_out(digits[:100], digits[90:]))
        90
    """
    named = {record.group for part in groups for record in part if record.group is not None}
    fresh = records.select(i for i, record in enumerate(records) if record.group not in named)
    known = tuple(record for part in others for record in part)
    if not fresh or not known:
        return fresh
    rows = {record.row.tobytes() for record in known if record.row is not None}
    fresh = fresh.select(i for i, one in enumerate(fresh) if one.row is None or one.row.tobytes() not in rows)
    if not fresh:
        return fresh
    theirs = open_all(replace(records, items=known), look_closely)[2]
    readable, _, mine = open_all(fresh, look_closely)
    copied = _copied(theirs, mine)
    return readable.select(place for place in range(len(readable)) if place not in copied)


def merged(part: Records, pseudo: Pseudo) -> Records:
    """A training part with the examples that a model has labelled after its own.

    Raises:
        DataError: the labels do not mean the same.
    """
    if dict(part.labels) != dict(pseudo.records.labels):
        expected = f"pseudo-labels of all tasks of {part.name}, with its classes in its order"
        raise check.DataError(check.sentence(FACT, expected, repr(pseudo.records)))
    return replace(part, items=(*part.items, *pseudo.records.items))


def self_train(
    part: Records,
    unlabelled: Records,
    *,
    fit: Callable[[Records], Any],
    mark: Callable[[Any, Records], Pseudo],
    rounds: int = 1,
) -> tuple[Any, tuple[Pseudo, ...]]:
    """Train, label what the model is sure of, and train again on both, for so many rounds.

    Each round labels all of the unlabelled anew, so that an early mistake can be taken back; there is no other round
    when one is sure of nothing.

    Args:
        part: the labelled training part.
        unlabelled: examples without labels, see :func:`held_out`.
        fit: trains a model on the records it is given, and gives it.
        mark: labels records with a model, as :func:`label` does.
        rounds: at least 1.

    Returns:
        The last model, and what was labelled in each round.
    """
    check.positive("self_train.rounds", rounds)
    model, found = fit(part), list[Pseudo]()
    for _ in range(rounds):
        found.append(mark(model, unlabelled))
        if not found[-1].records:
            break
        model = fit(merged(part, found[-1]))
    return model, tuple(found)


def _classes(labels: Mapping[str, Labels], tasks: Sequence[str] | None) -> dict[str, Labels]:
    """The labels to give, if all are of classes."""
    wanted = {
        task: labels[check.one_of(f"{FACT}.tasks", task, labels)] for task in (labels if tasks is None else tasks)
    }
    for task, meaning in wanted.items():
        if meaning.kind not in ("class", "classes"):
            remedy = "Name the tasks to label, without this one"
            expected = "a task of classes, for only these are more or less sure"
            raise check.SettingError(
                check.sentence(f"{FACT}.tasks: {task}", expected, f"one of {meaning.kind}", remedy)
            )
    if not wanted:
        raise check.SettingError(check.sentence(f"{FACT}.tasks", "at least one task of classes", "none"))
    return wanted


def _outputs(
    model: Any, records: Records, preprocessing: Preprocessing, labels: Mapping[str, Labels], size: int
) -> tuple[list[int], dict[str, np.ndarray]]:
    """The places of the examples that can be read, and the probabilities of these by task, float32 ``(n, units)``."""
    there, given = list[int](), {task: list[np.ndarray]() for task in labels}
    for x, targets in data.batches(placed(records), preprocessing, size=size, shuffle=False).epoch(0):
        there += places(targets).tolist()
        outputs = model.predict_on_batch(x)
        by_task = outputs if isinstance(outputs, Mapping) else {next(iter(labels)): outputs}
        for task in labels:
            given[task].append(_probabilities(by_task, task, labels[task]))
    return there, {task: np.concatenate(parts) for task, parts in given.items()}


def _probabilities(outputs: Mapping[str, np.ndarray], task: str, meaning: Labels) -> np.ndarray:
    values = np.asarray(outputs[check.one_of(f"{FACT}.tasks", task, outputs)], np.float32)
    units = values.shape[-1]
    yes_or_no = meaning.kind == "class" and len(meaning.names) == 2 and units == 1
    place = f"{FACT}: the model's output for {task!r}"
    if values.ndim != 2 or not (units == len(meaning.names) or yes_or_no):
        expected = f"one probability for each of {len(meaning.names)} classes"
        raise check.DataError(check.sentence(place, expected, f"shape {values.shape}"))
    together = np.abs(values.sum(axis=1) - 1).max() if meaning.kind == "class" and not yes_or_no else 0.0
    if not (values.min() >= 0 and values.max() <= 1 and together <= _ROUNDING):
        got = f"numbers from {values.min():.3g} to {values.max():.3g}"
        remedy = "Give the model with its last activation, see lensmith.compose.probabilities"
        raise check.DataError(check.sentence(place, "probabilities", got, remedy))
    return values


def _sureness(meaning: Labels, values: np.ndarray) -> np.ndarray:
    """How sure the answers are: float32 ``(n,)``."""
    if meaning.kind == "class" and values.shape[1] > 1:
        return np.asarray(values.max(axis=1))
    return np.asarray(np.maximum(values, 1 - values).min(axis=1))


def _answers(meaning: Labels, values: np.ndarray) -> list[Target]:
    """The target that each row of probabilities speaks for."""
    if meaning.kind == "classes":
        return [tuple(np.flatnonzero(row > 0.5).tolist()) for row in values]
    chosen = values.argmax(axis=1) if values.shape[1] > 1 else values[:, 0] > 0.5
    return [int(one) for one in chosen]


def _capped(order: Iterable[int], answers: Mapping[str, Sequence[Target]], most: int) -> Iterator[int]:
    """Of rows from the surest on, those whose classes are not full yet."""
    counts: Counter[tuple[str, object]] = Counter()
    for row in order:
        given = [(task, some[row]) for task, some in answers.items()]
        named = [(task, one) for task, some in given for one in (some if isinstance(some, tuple) else (some,))]
        if all(counts[one] < most for one in named):
            counts.update(named)
            yield row


def _labelled(record: Record, targets: Mapping[str, Target], sureness: float) -> Record:
    facts = {**record.facts, FACT: f"{sureness:.4f}"}
    return replace(record, targets=targets, part="train", facts=facts)


def _copied(theirs: Sequence[Look | None], mine: Sequence[Look | None]) -> set[int]:
    """The places among the second that show what one of the first shows."""
    known, fresh = ([(place, look) for place, look in enumerate(some) if look is not None] for some in (theirs, mine))
    looks = [look for _, look in (*known, *fresh)]
    if not known or not fresh:
        return set()
    thumbnails, colours = (np.stack([getattr(look, name) for look in looks]) for name in ("thumbnail", "colours"))
    groups = find([look.content for look in looks], thumbnails, colours).certain(len(looks))
    shared = [group for group in groups if group[0] < len(known)]  # in ascending order
    return {fresh[at - len(known)][0] for group in shared for at in group if at >= len(known)}
