"""Mended data lacks what was found wrong, lists what went, and keeps everything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.inspection.findings import Finding
from lensmith.data.inspection.labels import problems
from lensmith.data.inspection.mending import MENDABLE, mend
from lensmith.records import Boxes, Labels, Problem, Record, Records

PIXELS = np.zeros((20, 30, 1), np.uint8)


def made(kind, targets, *, parts=None, groups=None, size=None, aside=()):
    items = tuple(
        Record(
            f"{place}.png",
            image=PIXELS,
            targets={"it": target},
            part=parts[place] if parts else None,
            group=groups[place] if groups else None,
            size=size,
        )
        for place, target in enumerate(targets)
    )
    return Records(items, {"it": Labels(kind, ("cat", "dog"))}, set_aside=aside)


def left(records):
    return [int(record.source.removesuffix(".png")) for record in records]


def reasons(records):
    return {problem.source: problem.reason for problem in records.set_aside}


def copies(kind, *groups):
    sources = tuple(tuple(f"{place}.png" for place in group) for group in groups)
    return Finding(kind, "warning", "copies", files=sum(sources, ()), groups=sources)


COPIES = [(1, 2, 3), (5, 6)]
FOUND = (copies("duplicate", (1, 2), (5, 6)), copies("near-duplicate", (1, 2, 3)))

# The kinds to mend, and what is left of 0 to 6.
THINNED = [
    (["duplicate"], [0, 1, 3, 4, 5]),
    (["near-duplicate"], [0, 1, 4, 5, 6]),
    (["near-duplicate", "duplicate"], [0, 1, 4, 5]),
    (["unreadable"], [0, 1, 2, 3, 4, 5, 6]),
    ([], [0, 1, 2, 3, 4, 5, 6]),
]


@pytest.mark.parametrize(("kinds", "expected"), THINNED)
def test_the_first_of_each_group_of_copies_is_kept(kinds, expected):
    aside = (Problem("7.png", "damaged"),)
    mended = mend(made("class", [0] * 7, aside=aside), FOUND, COPIES, kinds)
    assert left(mended) == expected
    assert mended.set_aside[0] == aside[0]
    assert len(mended) + len(mended.set_aside) == 8


def test_the_reason_says_what_it_was_a_copy_of():
    mended = mend(made("class", [0] * 7), FOUND, COPIES, ["duplicate", "near-duplicate"])
    assert reasons(mended) == {
        "2.png": "duplicate of 1.png",
        "3.png": "near-duplicate of 1.png",
        "6.png": "duplicate of 5.png",
    }


def test_copies_are_thinned_within_a_part_only():
    parts = ["train", "test", "train", "test", None]
    records = made("class", [0] * 5, parts=parts)
    assert left(mend(records, (), [(0, 1, 2, 3, 4)], ["duplicate", "near-duplicate"])) == [0, 1, 4]


# The parts of a group of three, and what is left when it leaks.
LEAKS = [
    (["train", "train", "train"], [0, 1, 2]),
    # the training examples go, the test keeps all
    (["train", "test", "test"], [1, 2]),
    (["validation", "train", "train"], [0]),
    # what was chosen by validation may not be judged by its copy
    (["train", "validation", "test"], [2]),
    # nothing is known of the part of one
    ([None, "train", "test"], [0, 2]),
]


@pytest.mark.parametrize(("parts", "expected"), LEAKS)
@pytest.mark.parametrize("by_group", [True, False])
def test_leaks_are_closed(parts, expected, by_group):
    records = made("class", [0] * 4, parts=[*parts, "train"], groups=["a", "a", "a", None] if by_group else None)
    mended = mend(records, (), () if by_group else [(0, 1, 2)], ["leakage"])
    assert left(mended) == [*expected, 3]
    for reason in reasons(mended).values():
        assert reason.startswith("leaks into the ")


def test_leaks_go_before_copies():
    records = made("class", [0] * 4, parts=["train", "test", "test", "train"])
    assert left(mend(records, (), [(0, 1, 2)], ["near-duplicate", "duplicate", "leakage"])) == [1, 3]


def test_boxes_are_put_right():
    boxes = Boxes(
        [[-4, 2, 8, 9], [5, 5, 5, 9], [31, 1, 35, 3], [-4, 2, 8, 9], [1, 1, 3, 3], [2, 2, 40, 8], [0, 0, np.inf, 1]],
        [0, 0, 0, 0, 7, 1, 1],
        [((),), (), (), (), (), ([(2, 2), (8, 2), (8, 8)],), ()],
        difficult=[0, 0, 0, 0, 0, 1, 0],
    )
    fine = Boxes([[0, 0, 30, 20]], [1])
    records = made("boxes", [boxes, fine, Boxes([], [])])
    mended = mend(records, (), (), ["label"])
    assert left(mended) == [0, 1, 2]
    assert mended[0].targets["it"] == Boxes(
        [[0, 2, 8, 9], [2, 2, 30, 8]], [0, 1], [(), ([(2, 2), (8, 2), (8, 8)],)], difficult=[False, True]
    )
    assert mended[1] is records[1] and mended[2] is records[2], "right ones are left as they are"
    assert reasons(mended) == {
        "0.png (box 1)": "it: it has no area, or its corners the wrong way round",
        "0.png (box 2)": "it: it lies wholly outside the image",
        "0.png (box 3)": "it: it is there twice",
        "0.png (box 4)": "it: its class has no name",
        "0.png (box 6)": "it: its corners are not finite",
    }


def test_an_image_that_loses_all_its_boxes_goes():
    records = made("boxes", [Boxes([[5, 5, 5, 9]], [0]), Boxes([], [])])
    mended = mend(records, (), (), ["label"])
    assert left(mended) == [1], "else it would count as one that shows nothing"
    assert reasons(mended)["0.png"] == "it: no box is left that can be used"


# The kind, a target that cannot be used beside one that can, and the reason.
UNUSABLE = [
    ("class", 2, 1, "it: its class has no name"),
    ("classes", (0, 5), (0, 1), "it: its class has no name"),
    ("number", (1.0, np.nan), (1.0, 2.0), "it: a number is not finite"),
    ("points", np.array([[0, 1], [np.inf, 3]]), np.zeros((2, 2)), "it: a number is not finite"),
    ("mask", np.zeros((3, 3), np.uint8), np.zeros((20, 30), np.uint8), "it: the mask has another size than the image"),
    ("mask", np.full((20, 30), 9, np.uint8), np.full((20, 30), 255, np.uint8), "it: the mask has values that no class"),
]


@pytest.mark.parametrize(("kind", "bad", "good", "reason"), UNUSABLE)
def test_examples_whose_label_cannot_be_used_go(kind, bad, good, reason):
    mended = mend(made(kind, [bad, good]), (), (), ["label"])
    assert left(mended) == [1]
    assert reasons(mended)["0.png"].startswith(reason)


def test_labels_of_an_image_before_it_was_turned_go(tmp_path):
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=turned)
    boxes = {"it": Boxes([[20, 2, 28, 9]], [0])}  # fits 30 wide, not 20
    items = (
        Record("turned.jpg", image=tmp_path / "turned.jpg", targets=boxes, size=(20, 30)),
        Record("fine.png", image=PIXELS, targets=boxes, size=(20, 30)),
    )
    mended = mend(Records(items, {"it": Labels("boxes", ("cat",))}), (), (), ["label"])
    assert reasons(mended) == {
        "turned.jpg": "its size is stated with height and width exchanged: the labels may belong to the unturned image"
    }


def test_a_missing_mask_is_named(tmp_path):
    mended = mend(made("mask", [tmp_path / "none.png", np.zeros((20, 30), np.uint8)]), (), (), ["label"])
    assert reasons(mended) == {"0.png": "it: the mask is missing"}


def test_copies_with_different_labels_go_together():
    mended = mend(made("class", [0, 1, 0]), (copies("label", (0, 1)),), [(0, 1)], ["label", "duplicate"])
    assert left(mended) == [2]
    assert reasons(mended) == {
        "0.png": "a copy of it has another label: 1.png",
        "1.png": "a copy of it has another label: 0.png",
    }


def test_empty_images_go():
    finding = Finding("empty", "warning", "one colour", files=("1.png",))
    assert left(mend(made("class", [0, 1, 0]), (finding,), (), ["empty"])) == [0, 2]
    assert left(mend(made("class", [0, 1, 0]), (finding,), (), ["label"])) == [0, 1, 2]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(*[st.integers(-10, 40)] * 4, st.integers(0, 2)), max_size=5), min_size=1, max_size=5)
)
def test_nothing_is_wrong_with_mended_boxes(images):
    targets = [Boxes([one[:4] for one in rows], [one[4] for one in rows]) for rows in images]
    records = made("boxes", [*targets, Boxes([], [])])
    mended = mend(records, (), (), ["label"])
    assert list(problems(mended, [(20, 30)] * len(mended))) == []
    kept = sum(len(record.targets["it"]) for record in mended)
    assert kept + sum("(box" in source for source in reasons(mended)) == sum(map(len, targets))


def test_refusals():
    records = made("class", [0, 5])
    with pytest.raises(check.SettingError, match=r"mend: expected one of duplicate, .*; got 'near_duplicate'\. Did"):
        mend(records, (), (), ["near_duplicate"])
    with pytest.raises(check.DataError, match="data: nothing is left after mending label"):
        mend(made("class", [5, 5]), (), (), ["label"])
    assert left(mend(records, (), (), MENDABLE)) == [0]
