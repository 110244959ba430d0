"""Deal examples out to parts so that every stratum comes as near to its quota as it can.

In this order: units of several examples, the largest first, each where it brings the counts nearest to their
quotas; then single examples, which are many as a rule and make good what the units left uneven. Singles of one
stratum each are dealt by largest remainder, those of several by iterative stratification.

References:
    K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the Stratification of Multi-label Data", ECML PKDD 2011,
    section 3, algorithm 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from lensmith.data.splits.strata import Strata

FREE = -1  # the part of an example that has none yet
_DIGITS = 9  # more are noise of floating point, which must decide nothing


def deal(
    units: np.ndarray, strata: Strata, fractions: np.ndarray, fixed: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The part of each example.

    Args:
        units: int array ``(n,)``; examples of one number stay together.
        strata: what the ``n`` examples count for.
        fractions: ``(parts,)``, 0..1, with sum 1; a part of fraction 0 gets nothing.
        fixed: int array ``(n,)``: the part an example already has, or ``FREE``. These count towards the quotas.
        rng: what decides between equals.

    Returns:
        int array ``(n,)``, 0..parts - 1; no wanted part is empty, as far as there are units enough.
    """
    dealt = fixed.copy()
    members: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(fixed == FREE).tolist():
        members[int(units[place])].append(place)
    several = [places for places in members.values() if len(places) > 1]
    single = [places[0] for places in members.values() if len(places) == 1]
    if several:
        _deal_units(several, strata, fractions, dealt, len(single), rng)
    if strata.kind == "labels":
        _deal_labels(single, strata, fractions, dealt, rng)
    else:
        _deal_strata(single, strata, fractions, dealt, rng)
    _fill_empty(single, fractions, dealt)
    return dealt


def allot(
    count: int,
    fractions: np.ndarray,
    have: np.ndarray,
    owed: np.ndarray,
    *,
    carry: bool = False,
    all_parts: bool = True,
) -> np.ndarray:
    """Whole numbers that bring ``have`` as near to the fractions as ``count`` more examples can, by largest remainder.

    Args:
        count: of the examples to deal out.
        fractions: of the parts.
        have: what each part has already; no part gives any back.
        owed: how far earlier strata left each part behind. Ties go to the furthest, so that they do not add up.
        carry: whether what is owed is paid back, so that the totals hold though a stratum may be one further off.
        all_parts: whether no wanted part is left without an example where there are enough.

    Example:
        >>> allot(10, np.array([0.6, 0.2, 0.2]), np.array([6, 4, 0]), np.zeros(3)).tolist()
        [6, 0, 4]
    """
    quotas = _fill(count, fractions, have)
    if carry:
        quotas = _fill(count, fractions, -(quotas + owed)) if (quotas + owed < 0).any() else quotas + owed
    counts = np.floor(quotas + 1e-9).astype(int)
    behind = sorted(range(len(fractions)), key=lambda part: (-round(quotas[part] - counts[part], _DIGITS), -owed[part]))
    counts[behind[: count - counts.sum()]] += 1
    if all_parts:
        for part in np.flatnonzero((counts + have == 0) & (fractions > 0)):
            giver = int(np.where(counts > 0, counts + have, 0).argmax())
            if counts[giver] > 0 and counts[giver] + have[giver] > 1:
                counts[giver] -= 1
                counts[part] = 1
    return counts


def _fill(count: int, fractions: np.ndarray, have: np.ndarray) -> np.ndarray:
    """What each part should get, in decimals: the least filled first, up to one level in proportion to its fraction."""
    active = fractions > 0
    while True:
        level = (have[active].sum() + count) / fractions[active].sum()
        quotas = np.where(active, level * fractions - have, 0.0)
        if (quotas >= 0).all():
            return quotas
        active &= quotas > 0


def _deal_strata(
    single: Sequence[int], strata: Strata, fractions: np.ndarray, dealt: np.ndarray, rng: np.random.Generator
) -> None:
    """Deal examples of one stratum each, stratum by stratum."""
    _, have = _counts(strata, dealt, len(fractions))
    by_stratum: dict[int, list[int]] = defaultdict(list)
    for place in single:
        by_stratum[strata.marks[place][0]].append(place)
    owed = np.zeros(len(fractions))
    ranges = strata.kind == "range"
    for stratum in sorted(by_stratum, key=(lambda number: number) if ranges else str):
        members = rng.permutation(by_stratum[stratum])
        counts = allot(len(members), fractions, have[:, stratum], owed, carry=ranges, all_parts=not ranges)
        owed += _fill(len(members), fractions, have[:, stratum]) - counts
        dealt[members] = np.repeat(np.arange(len(fractions)), counts)


def _deal_labels(
    single: Sequence[int], strata: Strata, fractions: np.ndarray, dealt: np.ndarray, rng: np.random.Generator
) -> None:
    """Deal examples of any number of labels: the rarest label first, each to the part that lacks most of it."""
    missing = _missing(strata, fractions, dealt)
    wanted = np.flatnonzero(fractions > 0).tolist()
    order = rng.permutation(np.asarray(single, np.int64)).tolist()
    by_label: dict[int, list[int]] = defaultdict(list)
    for place in order:
        for label in strata.marks[place]:
            by_label[label].append(place)
    left = {label: len(places) for label, places in by_label.items()}
    everything = strata.count  # the column that counts every example, whatever it shows

    def give(place: int, label: int) -> None:
        best = max(
            wanted, key=lambda part: (round(missing[part][label], _DIGITS), round(missing[part][everything], _DIGITS))
        )  # the first of equals: training
        dealt[place] = best
        for mark in (*strata.marks[place], everything):
            missing[best][mark] -= 1
        for mark in strata.marks[place]:
            left[mark] -= 1

    while left:
        label = min(left, key=lambda one: (left[one], one))
        for place in by_label[label]:
            if dealt[place] == FREE:
                give(place, label)
        del left[label]
        for done in [one for one, count in left.items() if not count]:
            del left[done]
    for place in order:
        if dealt[place] == FREE:  # it shows nothing; these even out the sizes of the parts
            give(place, everything)


def _deal_units(
    several: Sequence[Sequence[int]],
    strata: Strata,
    fractions: np.ndarray,
    dealt: np.ndarray,
    spare: int,
    rng: np.random.Generator,
) -> None:
    """Put whole units, the largest first, where they bring the counts nearest to their quotas.

    Args:
        several: the places of each unit's examples.
        spare: how many single examples follow, which may fill a part that has nothing yet.
    """
    missing = _missing(strata, fractions, dealt)
    totals = _counts(strata, dealt, len(fractions))[0].tolist()
    wanted = np.flatnonzero(fractions > 0).tolist()
    empty = [part for part in wanted if not (dealt == part).any()]
    order = sorted(rng.permutation(len(several)).tolist(), key=lambda number: -len(several[number]))
    for done, number in enumerate(order):
        counts = Counter(mark for place in several[number] for mark in strata.marks[place])
        if strata.kind == "labels":
            counts[strata.count] = len(several[number])
        allowed = empty if len(order) - done + spare <= len(empty) else wanted
        # (missing - count)² - missing², each stratum in proportion to its size
        costs = [
            sum((count - 2 * missing[part][mark]) * count / totals[mark] for mark, count in counts.items())
            for part in allowed
        ]
        best = allowed[min(range(len(allowed)), key=lambda place: round(costs[place], _DIGITS))]
        dealt[several[number]] = best
        empty = [part for part in empty if part != best]
        for mark, count in counts.items():
            missing[best][mark] -= count


def _fill_empty(single: Sequence[int], fractions: np.ndarray, dealt: np.ndarray) -> None:
    """Give each wanted part that has nothing one example of the largest part that can spare a single one."""
    for part in np.flatnonzero(fractions > 0):
        if (dealt == part).any():
            continue
        sizes = np.bincount(dealt[dealt != FREE], minlength=len(fractions))
        free = [place for place in single if sizes[dealt[place]] > 1]
        if free:
            dealt[max(free, key=lambda place: (sizes[dealt[place]], place))] = part


def _missing(strata: Strata, fractions: np.ndarray, dealt: np.ndarray) -> list[list[float]]:
    """What each part still lacks of each stratum; last, of all examples. Lists, for they are read one by one."""
    totals, have = _counts(strata, dealt, len(fractions))
    lacking: list[list[float]] = (fractions[:, None] * totals - have).tolist()
    return lacking


def _counts(strata: Strata, dealt: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """How many examples of each stratum there are, ``(strata + 1,)``, and how many are dealt, ``(parts, strata + 1)``.

    The last column counts every example.
    """
    width = strata.count + 1
    lengths = [len(marks) + 1 for marks in strata.marks]
    flat = np.array([mark for marks in strata.marks for mark in (*marks, strata.count)], np.int64)
    owners = np.repeat(dealt, lengths)
    totals = np.bincount(flat, minlength=width)
    inside = owners != FREE
    have = np.bincount(owners[inside] * width + flat[inside], minlength=parts * width).reshape(parts, width)
    return totals, have
