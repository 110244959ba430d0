"""One split into training, validation and test."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from lensmith import check
from lensmith.data.splits.dealing import FREE, deal
from lensmith.data.splits.strata import choose_task, strata
from lensmith.data.splits.units import check_enough, units
from lensmith.data.splits.written import Split, keys
from lensmith.records import PARTS, Records


def split(
    records: Records,
    train: float,
    validation: float,
    test: float,
    *,
    seed: int = 0,
    stratify: str | None = None,
    group: str | None = None,
    together: Sequence[Sequence[int]] = (),
    previous: Split | None = None,
) -> tuple[Records, Records, Records]:
    """Divide records into a training, a validation and a test part.

    What is kept in proportion depends on the task. Of classes, every one is divided alike (largest remainders,
    and at least one example for each part that is wanted). Where an example has several classes or boxes of
    several classes, each class is, as nearly as that goes (iterative stratification), and the rare ones go to
    training first. Numbers are divided alike in ten ranges of equal frequency. Without any of these, or where
    groups force it, proportions hold over all examples as nearly as they can.

    Records of one group stay together, and so do those of ``together`` and records of the same image file. The
    records of each part keep their order. Parts that the source already has are obeyed: only those that are
    missing are taken from its training part, in the proportion of their fractions to ``train``. A source that is
    nothing but a validation part is divided like one without parts.

    With a ``previous`` split, examples it knows keep their part, whatever is added or gone; a new example of a
    group that is known joins it (where the known ones stand in several parts, the most of them), and all others
    are dealt so that the proportions come nearest to the fractions again. A class that it knows may then have
    fewer examples than there are parts.

    Args:
        records: from any reader.
        train: the training part's share, above 0.
        validation: 0..1; 0 for none.
        test: 0..1; the three add up to 1.
        seed: of the shuffle; the same seed gives the same parts.
        stratify: the task that is kept in proportion; left out, the first of classes, else of several classes,
            else of boxes, else of numbers.
        group: the name of a fact of the records that is the group, such as the column ``patient``; left out,
            their own group.
        together: sets of places that stay together, such as the duplicates an audit found.
        previous: a split that was written down.

    Returns:
        The three parts, in this order.

    Raises:
        SettingError: the fractions, the task, the group or a place is wrong.
        DataError: a class of a class task has fewer examples than there are parts, there are fewer groups than
            parts, or the previous split is one of other data: it knows none of the examples.

    Example:
        >>> from lensmith.data import bundled
        >>> [len(part) for part in split(bundled("digits"), 0.6, 0.2, 0.2, seed=7)]
        [1078, 360, 359]
    """
    fractions = np.array(_checked_fractions(train, validation, test))
    counted = strata(records, choose_task(records, stratify))
    joined = units(records, group, together)
    stated = _stated(records)
    known = np.where(stated == FREE, _known(records, previous), FREE)
    fixed = _fixed(records, joined, stated, known)
    wanted = np.where(np.isin(range(len(PARTS)), stated), 0, fractions)
    # What stands in a part that is given nothing counts for nothing when the others are dealt.
    pool = np.flatnonzero((fixed == FREE) | (wanted[fixed] > 0))
    names = [name for name, share in zip(PARTS, wanted, strict=True) if share > 0]
    chosen = counted.select(pool.tolist())
    remedy = "Add examples, leave the class out, or set the share of a part to 0"
    check_enough(records.name, chosen, joined[pool], known[pool] != FREE, names, remedy=remedy)
    parts = fixed.copy()
    parts[pool] = deal(joined[pool], chosen, wanted / wanted.sum(), fixed[pool], np.random.default_rng(seed))
    one, two, three = (records.select(np.flatnonzero(parts == part).tolist()) for part in range(len(PARTS)))
    return one, two, three


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


def _stated(records: Records) -> np.ndarray:
    """The part of each example where the source says validation or test.

    A source that is a validation part as a whole, such as the smaller half of a data set that somebody downloaded,
    says nothing; a test part is not to be trained on.
    """
    parts = [record.part for record in records]
    if set(parts) == {"validation"}:
        parts = [None] * len(parts)
    if any(parts) and not {None, "train"} & set(parts):
        raise check.DataError(f"{records.name}: there is a test or validation part, but no record to train on")
    return np.array([PARTS.index(part) if part in PARTS[1:] else FREE for part in parts], np.int64)


def _known(records: Records, previous: Split | None) -> np.ndarray:
    parts = previous.parts if previous else {}
    if previous and parts and not previous.kept(records):
        got = f"a split of other data, such as {min(parts)!r}"
        raise check.DataError(check.sentence(records.name, "a previous split that knows some of its examples", got))
    return np.array([PARTS.index(parts[key]) if key in parts else FREE for key in keys(records)], np.int64)


def _fixed(records: Records, joined: np.ndarray, stated: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The part of each example that is not free: its own, or that of the unit it joins.

    What the source says draws others after it only where the source says nothing of them.
    """
    fixed = np.where(stated == FREE, known, stated)
    drawn: dict[tuple[int, bool], Counter[int]] = defaultdict(Counter)
    for place in np.flatnonzero(fixed != FREE).tolist():
        drawn[int(joined[place]), known[place] != FREE][int(fixed[place])] += 1
    if not drawn:
        return fixed
    for place in np.flatnonzero(fixed == FREE).tolist():
        unit = int(joined[place])
        near = drawn.get((unit, True)) or (drawn.get((unit, False)) if records[place].part is None else None)
        if near:
            fixed[place] = min(near, key=lambda part: (-near[part], part))
    return fixed
