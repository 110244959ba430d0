"""Classes that a trained model never gives to anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lensmith import check
from lensmith.train.diagnosis.kinds import Diagnosis

_FEWEST_EXAMPLES = 5
_NAMED = 5


def never_predicted(confusion: Any, names: Sequence[str], task: str = "") -> Diagnosis | None:
    """Name the classes that a trained model never gives to anything, though there are five examples of them at least.

    Args:
        confusion: counts of shape ``(k, k)``: rows are the truth, columns what was predicted.
        names: of the ``k`` classes.
        task: to be named where there are several.

    Raises:
        DataError: the table has another shape.

    Example:
        >>> never_predicted([[9, 1], [6, 0]], ["cat", "dog"]) is None
        True
        >>> never_predicted([[10, 0], [6, 0]], ["cat", "dog"]).evidence
        'nothing is taken for dog, though 6 of 16 examples are of it; 16 of the 16 answers are cat'
    """
    table = np.asarray(confusion)
    if table.shape != (len(names), len(names)):
        raise check.DataError(check.sentence("confusion", f"shape {(len(names), len(names))}", table.shape))
    truth, predicted = table.sum(axis=1), table.sum(axis=0)
    missing = [at for at in range(len(names)) if predicted[at] == 0 and truth[at] >= _FEWEST_EXAMPLES]
    if not missing:
        return None
    listed = ", ".join(names[at] for at in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    them = "it" if len(missing) == 1 else "them"
    place = f"{task}: " if task else ""
    total, common = int(table.sum()), int(predicted.argmax())
    return Diagnosis(
        "class-never-predicted",
        None,
        f"{place}nothing is taken for {listed}{more}, though {int(truth[missing].sum())} of {total} examples are of "
        f"{them}; {int(predicted[common])} of the {total} answers are {names[common]}",
        "Give rare classes more weight (class_weights: balanced) or more examples, and look at their labels; where one "
        "class is answered to everything, the network has learned nothing yet",
    )
