"""Which examples train, which choose, which judge."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lensmith import check
from lensmith.records import PARTS, Record, Records


def split(
    records: Records, train: float, validation: float, test: float, *, seed: int = 0, stratify: str | None = None
) -> tuple[Records, Records, Records]:
    """Divide records into a training, a validation and a test part.

    Every class is divided in the same proportions (largest remainders, and at least one example for each part
    that is wanted), records of one group stay together, and the records of each part keep their order. Parts
    that the source already has are obeyed: only those that are missing are taken from its training part, in
    the proportion of their fractions to ``train``.

    Args:
        records: from any reader.
        train: the training part's share, above 0.
        validation: 0..1; 0 for none.
        test: 0..1; the three add up to 1.
        seed: of the shuffle; the same seed gives the same parts.
        stratify: the class task whose classes are kept in proportion; left out, the first there is. Without
            one, and where groups force it, proportions hold over all examples as nearly as they can.

    Returns:
        The three parts, in this order.

    Raises:
        SettingError: the fractions or the task are wrong.
        DataError: a class has fewer examples than there are parts, or there are fewer groups than parts.

    Example:
        >>> from lensmith.data import bundled
        >>> [len(part) for part in split(bundled("digits"), 0.6, 0.2, 0.2, seed=7)]
        [1078, 360, 359]
    """
    fractions = _checked_fractions(train, validation, test)
    task = _class_task(records, stratify)
    if not any(record.part for record in records):
        fixed: dict[str, list[int]] = {}
        pool = list(range(len(records)))
    else:
        fixed = {part: [i for i, record in enumerate(records) if record.part == part] for part in PARTS[1:]}
        pool = [i for i, record in enumerate(records) if record.part in (None, "train")]
        if not pool:
            raise check.DataError(f"{records.name}: there is a test or validation part, but no record to train on")
    wanted = [0.0 if fixed.get(part) else share for part, share in zip(PARTS, fractions, strict=True)]
    drawn = _divide(records, pool, np.asarray(wanted) / sum(wanted), task=task, seed=seed)
    train_part, validation_part, test_part = (
        records.select(fixed.get(part) or sorted(indices)) for part, indices in zip(PARTS, drawn, strict=True)
    )
    return train_part, validation_part, test_part


def _checked_fractions(train: float, validation: float, test: float) -> tuple[float, float, float]:
    fractions = train, validation, test
    for name, value in zip(PARTS, fractions, strict=True):
        check.between(f"split: {name}", value, 0, 1)
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        got = f"{' + '.join(f'{value:g}' for value in fractions)} = {sum(fractions):g}"
        raise check.SettingError(check.sentence("split", "three fractions that add up to 1", got))
    if train == 0:
        raise check.SettingError(check.sentence("split: train", "more than 0", "0"))
    return fractions


def _class_task(records: Records, stratify: str | None) -> str | None:
    classes = [task for task, labels in records.labels.items() if labels.kind == "class"]
    if stratify is None:
        return classes[0] if classes else None
    return check.one_of("stratify", stratify, classes)


def _divide(
    records: Records, pool: Sequence[int], fractions: np.ndarray, *, task: str | None, seed: int
) -> list[list[int]]:
    """Indices of the pool by part."""
    by_class: dict[object, list[int]] = defaultdict(list)
    for index in pool:
        by_class[records[index].targets[task] if task else None].append(index)
    _enough(records, by_class, task, fractions)
    rng = np.random.default_rng(seed)
    if any(records[index].group is not None for index in pool):
        return _by_group(records, by_class, fractions, rng)
    parts: list[list[int]] = [[] for _ in fractions]
    owed = np.zeros(len(fractions))
    for key in sorted(by_class, key=str):
        members = rng.permutation(by_class[key]).tolist()
        counts = _allot(len(members), fractions, owed)
        owed += len(members) * fractions - counts
        for part, end, count in zip(parts, np.cumsum(counts), counts, strict=True):
            part += members[end - count : end]
    return parts


def _enough(records: Records, by_class: dict[object, list[int]], task: str | None, fractions: np.ndarray) -> None:
    wanted = [name for name, share in zip(PARTS, fractions, strict=True) if share > 0]
    names = records.labels[task].names if task else ()
    short = {
        repr(names[key]) if isinstance(key, int) else "all": len(members)
        for key, members in by_class.items()
        if len(members) < len(wanted)
    }
    if short:
        got = ", ".join(f"{count} of {name}" for name, count in short.items())
        expected = f"at least {len(wanted)} examples of each class, one each for {', '.join(wanted)}"
        remedy = "Add examples, leave the class out, or set the share of a part to 0"
        raise check.DataError(check.sentence(records.name, expected, got, remedy))


def _allot(count: int, fractions: np.ndarray, owed: np.ndarray) -> np.ndarray:
    """Whole numbers near ``count · fractions`` by largest remainder; none is 0 where its fraction is not.

    Ties go to the part that earlier classes left the furthest behind, so that they do not add up.
    """
    quotas = count * fractions
    counts = np.floor(quotas + 1e-9).astype(int)
    behind = sorted(range(len(fractions)), key=lambda part: (-round(quotas[part] - counts[part], 9), -owed[part]))
    counts[behind[: count - counts.sum()]] += 1
    for part in np.flatnonzero((counts == 0) & (fractions > 0)):
        counts[counts.argmax()] -= 1
        counts[part] = 1
    return counts


def _by_group(
    records: Records, by_class: dict[object, list[int]], fractions: np.ndarray, rng: np.random.Generator
) -> list[list[int]]:
    """Put whole groups, the largest first, where they bring the class counts nearest to their quotas."""
    groups: dict[object, list[int]] = defaultdict(list)
    classes: dict[int, int] = {}
    for number, key in enumerate(sorted(by_class, key=str)):
        for index in by_class[key]:
            classes[index] = number
            groups[_group(records[index], index)].append(index)
    names = [list(groups)[place] for place in rng.permutation(len(groups))]
    names.sort(key=lambda name: -len(groups[name]))
    wanted = np.flatnonzero(fractions > 0)
    if len(names) < len(wanted):
        expected = f"at least {len(wanted)} groups, one for each part of the split"
        raise check.DataError(check.sentence(records.name, expected, f"{len(names)}"))
    totals = np.bincount(list(classes.values()), minlength=len(by_class))
    missing = fractions[:, None] * totals
    parts: list[list[int]] = [[] for _ in fractions]
    for place, name in enumerate(names):
        counts = np.bincount([classes[index] for index in groups[name]], minlength=len(totals))
        empty = [part for part in wanted if not parts[part]]
        allowed = empty if len(names) - place <= len(empty) else wanted
        # (missing - counts)² - missing², each class in proportion to its size
        best = min(allowed, key=lambda part: float(((counts - 2 * missing[part]) * counts / totals).sum()))
        parts[best] += groups[name]
        missing[best] -= counts
    return parts


def _group(record: Record, index: int) -> object:
    return index if record.group is None else record.group
