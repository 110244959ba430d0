"""k-fold cross-validation: every example validates once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lensmith import check
from lensmith.data.splits.dealing import FREE, deal
from lensmith.data.splits.strata import choose_task, strata
from lensmith.data.splits.units import check_enough, units
from lensmith.records import Records


def folds(
    records: Records,
    k: int,
    *,
    seed: int = 0,
    stratify: str | None = None,
    group: str | None = None,
    together: Sequence[Sequence[int]] = (),
) -> tuple[tuple[Records, Records], ...]:
    """Divide records into k folds, each of which validates once what the others train.

    Proportions, groups and what stays together are kept as :func:`split` keeps them. A validation part that the
    source has is divided like the rest; a test part is refused, for nothing may be chosen by it.

    Args:
        records: from any reader.
        k: how many folds; at least 2.
        seed, stratify, group, together: as :func:`split`.

    Returns:
        k pairs of training and validation records, each in the records' order.

    Raises:
        SettingError: k is no whole number of at least 2, or a setting of :func:`split` is wrong.
        DataError: a class of a class task has fewer than k examples, there are fewer than k groups, or some
            examples are for testing.

    Example:
        >>> from lensmith.data import bundled
        >>> [(len(training), len(validation)) for training, validation in folds(bundled("wine"), 3)]
        [(118, 60), (119, 59), (119, 59)]
    """
    if check.positive("folds: k", k) < 2:
        raise check.SettingError(check.sentence("folds: k", "a whole number of at least 2", repr(k)))
    for_testing = sum(record.part == "test" for record in records)
    if for_testing:
        remedy = "Pass the others only, such as the training part of a split"
        got = f"{for_testing} of the test part"
        raise check.DataError(check.sentence(records.name, "no examples for testing", got, remedy))
    counted = strata(records, choose_task(records, stratify))
    joined = units(records, group, together)
    free = np.full(len(records), FREE)
    names = [f"fold {number}" for number in range(1, k + 1)]
    remedy = "Add examples, leave the class out, or ask for fewer folds"
    check_enough(records.name, counted, joined, free != FREE, names, remedy=remedy)
    dealt = deal(joined, counted, np.full(k, 1 / k), free, np.random.default_rng(seed))
    places = [(np.flatnonzero(dealt != fold).tolist(), np.flatnonzero(dealt == fold).tolist()) for fold in range(k)]
    return tuple((records.select(training), records.select(validation)) for training, validation in places)
