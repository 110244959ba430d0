"""Exact copies of an image with different boxes contradict each other."""

import numpy as np
import pytest

from lensmith.data import audit
from lensmith.data.inspection.copies import contradictions
from lensmith.data.inspection.duplicates import Copies
from lensmith.data.inspection.mending import mend
from lensmith.records import Boxes, Labels, Record, Records

CAT, DOG = [10, 10, 40, 40], [12, 50, 44, 70]


def copies_of(*targets):
    """The same picture with these boxes, and another picture."""
    rng = np.random.default_rng(0)
    pixels, other = (np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 10, 0), 10, 1) for _ in range(2))
    items = [
        Record(f"{place}.png", image=pixels, targets={} if target is None else {"it": target})
        for place, target in enumerate(targets)
    ]
    items.append(Record("other.png", image=other, targets={"it": Boxes([CAT], [0])}))
    return Records(tuple(items), {"it": Labels("boxes", ("cat", "dog"))}, "photos")


# Boxes of two exact copies; and whether they contradict each other.
PAIRS = [
    # the same in another order
    (Boxes([CAT, DOG], [0, 1]), Boxes([DOG, CAT], [1, 0]), False),
    # 2 pixels off
    (Boxes([CAT], [0]), Boxes([[8, 12, 42, 38]], [0]), False),
    # 3 pixels off
    (Boxes([CAT], [0]), Boxes([[13, 10, 40, 40]], [0]), True),
    # another class
    (Boxes([CAT], [0]), Boxes([CAT], [1]), True),
    # the classes exchanged
    (Boxes([CAT, DOG], [0, 1]), Boxes([CAT, DOG], [1, 0]), True),
    # one box is missing
    (Boxes([CAT, DOG], [0, 1]), Boxes([CAT], [0]), True),
    # one box counts twice in one and another is missing
    (Boxes([CAT, CAT], [0, 0]), Boxes([CAT, DOG], [0, 0]), True),
    # no boxes, and none said
    (Boxes([], []), None, False),
    # none said where there is one
    (Boxes([CAT], [0]), None, True),
    # the order of the edges tells nothing: x1 differs by 1 the other way round
    (Boxes([[10, 10, 20, 20], [11, 50, 20, 60]], [0, 0]), Boxes([[11, 10, 20, 20], [10, 50, 20, 60]], [0, 0]), False),
    # the same corners that are no numbers
    (Boxes([[np.nan, 0, 1, 1]], [0]), Boxes([[np.nan, 0, 1, 1]], [0]), False),
    (Boxes([[np.nan, 0, 1, 1]], [0]), Boxes([[0, 0, 1, 1]], [0]), True),
]


@pytest.mark.parametrize(("one", "other", "apart"), PAIRS)
def test_what_counts_as_different_boxes(one, other, apart):
    for records in (copies_of(one, other), copies_of(other, one)):
        found = list(contradictions(records, Copies(((0, 1),), ((0, 1),))))
        assert [finding.groups for finding in found] == [(("0.png", "1.png"),)] * apart


def test_near_copies_may_have_other_boxes():
    records = copies_of(Boxes([CAT], [0]), Boxes([DOG], [1]))
    assert list(contradictions(records, Copies(((0, 1),), ()))) == []


def test_the_audit_says_it_and_mending_leaves_such_images_out():
    report = audit(copies_of(Boxes([CAT], [0]), Boxes([CAT], [0]), Boxes([DOG], [1])))
    [finding] = [one for one in report.findings if "different boxes" in one.message]
    assert (finding.kind, finding.severity) == ("label", "warning")
    assert finding.message == "it: the same image has different boxes (1 image), such as 0.png and 2.png"
    assert finding.groups == (("0.png", "1.png", "2.png"),)
    assert [r.source for r in mend(report.records, report.findings, report.together, ("label",))] == ["other.png"]
