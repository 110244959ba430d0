"""What a detector is shown: rows of objects, images at several sizes, and what tells one such set from another."""

import numpy as np
import pytest

from lensmith import data
from lensmith.check import DataError, SettingError
from lensmith.data import Augment, Preprocessing, batches
from lensmith.data.targets import encode, most_boxes, to_array
from lensmith.records import Boxes, Labels, Record, Records

NAMES = Labels("boxes", ("red", "blue"))
NOTHING = [0, 0, 0, 0, -1, 0]


def scenes(*boxes, size=(32, 64)):
    """Gray images, each with the boxes given."""
    items = tuple(
        Record(f"scene:{place}", np.full((*size, 3), 90 + place, np.uint8), targets={"objects": one})
        for place, one in enumerate(boxes)
    )
    return Records(items, {"objects": NAMES}, "scenes")


def rows(boxes, several=3, size=(32, 64)):
    return encode(boxes, "objects", NAMES, size, "scene", several=several).tolist()


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        # An image of 64 x 32: a box from (16, 8) to (32, 24) is a quarter to a half across, a quarter to three down.
        (Boxes([[16, 8, 32, 24]], [1]), [[0.25, 0.25, 0.5, 0.75, 1, 1], NOTHING, NOTHING]),
        # Without an object there are empty rows alone.
        (Boxes(np.zeros((0, 4)), []), [NOTHING] * 3),
        # A crowd and a difficult object are there, and do not count.
        (
            Boxes([[0, 0, 64, 32], [0, 0, 32, 16]], [0, 1], crowd=[True, False], difficult=[False, True]),
            [[0, 0, 1, 1, 0, 0], [0, 0, 0.5, 0.5, 1, 0], NOTHING],
        ),
        # What reaches out is cut at the edge.
        (Boxes([[-16, 16, 16, 48]], [0]), [[0, 0.5, 0.25, 1, 0, 1], NOTHING, NOTHING]),
        # What lies outside is no object of this image; the others keep their places.
        (Boxes([[70, 8, 90, 24], [0, 0, 64, 32]], [1, 1]), [NOTHING, [0, 0, 1, 1, 1, 1], NOTHING]),
    ],
)
def test_the_rows_of_an_image(boxes, expected):
    assert rows(boxes) == expected


def test_as_many_objects_as_rows_are_taken_and_one_more_is_refused():
    assert [row[4] for row in rows(Boxes([[0, 0, 9, 9]] * 3, [0, 1, 0]))] == [0, 1, 0]
    with pytest.raises(DataError, match="scene: objects: expected at most 3 boxes; got 4"):
        rows(Boxes([[0, 0, 9, 9]] * 4, [0] * 4))


def test_the_longest_image_says_how_many_rows_there_are():
    two, none = Boxes([[0, 0, 9, 9]] * 2, [0, 1]), Boxes(np.zeros((0, 4)), [])
    records = scenes(two, none)
    assert most_boxes(records, "objects") == 2
    assert most_boxes(records.select([1]), "objects") == 1  # a batch has a row at the least
    assert to_array(records, "objects", several=2)[..., 4].tolist() == [[0, 1], [-1, -1]]
    _, y = next(batches(records, Preprocessing(image=(32, 64, 3)), shuffle=False, several=["objects"]).epoch(0))
    assert y.shape == (2, 2, 6)
    assert y.dtype == np.float32


def test_a_mosaic_has_room_for_the_objects_of_four_images():
    four = scenes(*[Boxes([[8, 8, 24, 24], [30, 4, 60, 28]], [0, 1])] * 4)
    made = batches(four, Preprocessing(image=(32, 32, 3)), size=4, several=["objects"], augment=Augment(mosaic=1.0))
    found = [next(made.epoch(number))[1] for number in range(6)]
    assert all(y.shape == (4, 8, 6) for y in found)
    assert max((y[..., 4] >= 0).sum(axis=1).max() for y in found) > 2
    for y in found:
        there = y[y[..., 4] >= 0]
        assert ((there[:, :4] >= 0) & (there[:, :4] <= 1)).all()
        assert (there[:, 2:4] > there[:, :2]).all()
        assert (y[y[..., 4] < 0] == NOTHING).all()


def test_an_image_whose_objects_all_leave_it_is_shown_without_any():
    """As a background: a detector learns from it, while a head of one box would have nothing to learn."""
    corner = scenes(*[Boxes([[0, 0, 4, 4]], [0])] * 8)
    plain = Preprocessing(image=(32, 64, 3))
    made = batches(corner, plain, size=8, several=["objects"], augment=Augment(shift=0.5, zoom=(2.0, 2.0)))
    counts = np.concatenate([(next(made.epoch(number))[1][..., 4] >= 0).sum(axis=1) for number in range(4)])
    assert 0 in counts
    alone = batches(corner, plain, size=8, augment=Augment(shift=0.5, zoom=(2.0, 2.0)))
    assert np.isfinite(next(alone.epoch(0))[1]).all()


def test_the_fingerprint_knows_every_box():
    plain = Preprocessing(image=(32, 64, 3))

    def fingerprint(boxes, **settings):
        return batches(scenes(boxes), plain, several=["objects"], **settings).fingerprint

    usual = Boxes([[16, 8, 32, 24]], [1])
    others = [
        fingerprint(usual),
        fingerprint(Boxes([[16, 8, 32, 25]], [1])),  # another corner
        fingerprint(Boxes([[16, 8, 32, 24]], [0])),  # another class
        fingerprint(Boxes([[16, 8, 32, 24]], [1], crowd=[True])),  # it does not count
        fingerprint(Boxes([[16, 8, 32, 24]] * 2, [1, 1])),  # one more
        fingerprint(usual, sizes=[(32, 32)]),
        fingerprint(usual, sizes=[(32, 32), (64, 64)]),
    ]
    assert len(set(others)) == len(others)
    assert fingerprint(usual) == others[0]


def test_several_is_for_tasks_of_boxes():
    records = data.from_arrays(np.zeros((2, 8, 8, 3), np.uint8), [0, 1], ["a", "b"])
    with pytest.raises(SettingError, match="several"):
        batches(records, Preprocessing(image=(8, 8, 3)), several=["label"])


SIZES = [(32, 32), (48, 64), (64, 32)]


def many(sizes=SIZES, **settings):
    records = scenes(*[Boxes([[8 + place % 20, 8, 30, 24]], [0]) for place in range(50)])
    plain = Preprocessing(image=(32, 64, 3))
    return batches(records, plain, size=2, seed=4, several=["objects"], sizes=sizes, threads=0, **settings)


def test_ten_batches_have_one_size_and_the_next_ten_another_draw():
    made = many()
    seen = [[x.shape[1:3] for x, _ in made.epoch(number)] for number in range(6)]
    tens = [set(epoch[first : first + 10]) for epoch in seen for first in (0, 10, 20)]
    assert all(len(one) == 1 for one in tens)
    assert {next(iter(one)) for one in tens} == set(SIZES)


def test_targets_are_the_same_at_every_size():
    drawn, plain = many(), many(sizes=())
    for (x, y), (_, expected) in zip(drawn.epoch(1), plain.epoch(1), strict=True):
        assert x.shape[1:3] in SIZES
        assert np.array_equal(y, expected)


@pytest.mark.parametrize("taken", [0, 7, 10, 13])
def test_an_epoch_goes_on_at_the_size_it_was_left_at(taken):
    made = many(augment=Augment(shift=0.1, brightness=0.2))
    whole = list(made.epoch(2))
    before = made.epoch(2)
    for _ in range(taken):
        next(before)
    after = many(augment=Augment(shift=0.1, brightness=0.2)).epoch(2)
    after.set_state(before.get_state())
    rest = list(after)
    assert len(rest) == len(whole) - taken
    for (x, y), (wanted_x, wanted_y) in zip(rest, whole[taken:], strict=True):
        assert np.array_equal(x, wanted_x)
        assert np.array_equal(y, wanted_y)


def test_sizes_and_masks_do_not_go_together():
    mask = Records(
        (Record("a", np.zeros((8, 8, 3), np.uint8), targets={"area": np.zeros((8, 8), np.uint8)}),),
        {"area": Labels("mask", ("x",))},
        "masks",
    )
    with pytest.raises(SettingError, match="sizes: expected tasks whose targets have no size; got the mask 'area'"):
        batches(mask, Preprocessing(image=(8, 8, 3)), sizes=[(16, 16)])
    with pytest.raises(SettingError, match="sizes"):
        many(sizes=[(0, 32)])
