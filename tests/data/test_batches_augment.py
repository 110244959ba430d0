"""Augmented batches: the same bits whatever the threads and the position, and targets that follow."""

import json

import numpy as np
import pytest
from PIL import Image

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.data.augmentation.record import Augment
from lensmith.records import Boxes, Labels, Record, Records

SIZE = (16, 20)
PREPROCESSING = Preprocessing(image=(*SIZE, 3))
ALL = Augment(flip="both", rotate=30, shift=0.1, zoom=0.3, shear=5, brightness=0.2, noise=0.02, erase=0.3, share=0.7)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eleven JPEGs of 60 by 80, in two classes."""
    folder = tmp_path_factory.mktemp("photos")
    for place in range(11):
        path = folder / "ab"[place % 2] / f"{place:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(place).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((80, 60)).save(path)
    return data.read(folder)


def made(records, **options):
    return data.batches(records, PREPROCESSING, size=4, seed=3, **options)


def same(first, second):
    assert len(first) == len(second)
    for (x, y), (x2, y2) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


@pytest.mark.parametrize("augment", [None, ALL, Augment(mixup=0.4, share=0.5), Augment(rotate=20, cutmix=1)])
def test_it_goes_on_in_the_middle_of_an_epoch_with_the_same_bits(photos, augment, tmp_path):
    whole = list(made(photos, augment=augment, threads=0).epoch(1))
    for stop, threads, again in ((0, 0, 3), (1, 3, 0), (2, 1, 1), (3, 3, 1)):
        iterator = made(photos, augment=augment, threads=threads).epoch(1)
        taken = [next(iterator) for _ in range(stop)]
        state = json.loads(json.dumps(iterator.get_state()))
        rest = made(photos, augment=augment, threads=again, cache=tmp_path / "cache").epoch(1)
        rest.set_state(state)
        same(taken + list(rest), whole)


def test_each_epoch_and_each_seed_changes_anew(photos):
    first, second = (made(photos, augment=ALL, shuffle=False) for _ in range(2))
    same(list(first.epoch(0)), list(second.epoch(0)))
    (x, _), (x1, _) = next(first.epoch(0)), next(first.epoch(1))
    assert np.abs(x - x1).max() > 0.1
    other = data.batches(photos, PREPROCESSING, size=4, seed=4, augment=ALL, shuffle=False)
    assert np.abs(x - next(other.epoch(0))[0]).max() > 0.1


def test_the_untouched_share_is_as_without_augmentation(photos):
    same(list(made(photos, augment=Augment(rotate=40, share=0)).epoch(0)), list(made(photos).epoch(0)))
    some = made(photos, augment=Augment(rotate=(30, 40), share=0.5), shuffle=False)
    plain = [x for batch, _ in made(photos, shuffle=False).epoch(0) for x in batch]
    changed = [x for epoch in range(20) for batch, _ in some.epoch(epoch) for x in batch]
    equal = sum(np.array_equal(x, plain[place % len(plain)]) for place, x in enumerate(changed))
    assert 0.4 < equal / len(changed) < 0.6


def test_a_large_zoom_is_decoded_large_enough(photos):
    """At 20 columns the JPEG of 80 would be halved; magnified four times, it must not be."""
    near = made(photos, augment=Augment(zoom=(4, 4)), shuffle=False)
    far = made(photos, augment=Augment(zoom=(1, 1)), shuffle=False)
    assert near.examples._detailed(0).values.shape == (60, 80, 3)
    assert far.examples._detailed(0).values.shape == (30, 40, 3)


def test_the_fingerprint_tells_the_augmentation_and_not_the_cache_nor_the_memory(photos, tmp_path):
    plain = made(photos)
    assert plain.fingerprint == made(photos, cache=tmp_path, memory=1 << 24, threads=1).fingerprint
    others = [{"augment": ALL}, {"augment": Augment()}, {"one_hot": True}, {"exact": True}]
    assert len({plain.fingerprint, *(made(photos, **one).fingerprint for one in others)}) == 5


@pytest.mark.parametrize("augment", [Augment(mixup=0.3), Augment(cutmix=0.3)])
def test_mixed_classes_are_shares_and_validation_can_have_the_same_form(photos, augment):
    training, validation = made(photos, augment=augment), made(photos, one_hot=True, shuffle=False)
    assert training.one_hot
    assert validation.one_hot
    assert not made(photos).one_hot
    for _, y in training.epoch(0):
        assert y.dtype == np.float32
        assert y.shape[1] == 2
        np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    shares = np.concatenate([y for epoch in range(5) for _, y in training.epoch(epoch)])
    assert ((shares > 0.01) & (shares < 0.99)).any()
    truth = np.concatenate([y for _, y in validation.epoch(0)])
    np.testing.assert_array_equal(truth.argmax(axis=1), [record.targets["label"] for record in photos])
    assert set(truth.ravel()) == {0, 1}


def test_classes_in_memory_can_be_one_hot_too():
    digits = data.bundled("digits")[:7]
    kept = data.batches(digits, Preprocessing(image=(8, 8, 1)), one_hot=True, shuffle=False)
    ((_, y),) = kept.epoch(0)
    assert kept.inputs is not None
    np.testing.assert_array_equal(y, np.eye(10)[[record.targets["label"] for record in digits]])


def test_inputs_are_kept_only_when_they_do_not_change():
    digits = data.bundled("digits")[:7]
    assert data.batches(digits, Preprocessing(image=(8, 8, 1))).inputs is not None
    assert data.batches(digits, Preprocessing(image=(8, 8, 1)), augment=Augment(rotate=5)).inputs is None


def dotted(place):
    """A record of 40 by 60 whose dot, box, outline mask and point are at one place."""
    pixels, mask = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    y, x = 6 + place, 8 + 3 * place
    pixels[y : y + 6, x : x + 8], mask[y : y + 6, x : x + 8] = 255, 1
    targets = {
        "where": Boxes([[x, y, x + 8, y + 6]], [0]),
        "middle": np.array([[x + 4, y + 3]], np.float32),
        "pixels": mask,
    }
    return Record(f"dot:{place}", image=pixels, targets=targets)


LABELS = {
    "where": Labels("boxes", ("dot",)),
    "middle": Labels("points", ("middle",)),
    "pixels": Labels("mask", ("nothing", "dot")),
}
DOTS = Records(tuple(dotted(place) for place in range(8)), LABELS)


@pytest.mark.parametrize("augment", [None, Augment(flip="both"), Augment(flip="horizontal", rotate=10, shift=0.05)])
def test_boxes_points_and_masks_follow_their_image(augment):
    preprocessing = Preprocessing(image=(80, 90, 3))  # twice as high, 1.5 times as wide
    size = np.array([90, 80])
    for x, y in data.batches(DOTS, preprocessing, size=8, augment=augment, threads=0).epoch(0):
        assert (y["where"].dtype, y["where"].shape) == (np.float32, (8, 4))
        assert (y["middle"].dtype, y["middle"].shape) == (np.float32, (8, 1, 2))
        assert (y["pixels"].dtype, y["pixels"].shape) == (np.int32, (8, 80, 90))
        for image, box, point, mask in zip(x, y["where"], y["middle"], y["pixels"], strict=True):
            rows, columns = np.nonzero(image[..., 0] > 0.5)
            centre = (columns.mean() + 0.5, rows.mean() + 0.5)
            np.testing.assert_allclose(point[0] * size, centre, atol=0.6)
            np.testing.assert_allclose((box[:2] + box[2:]) / 2 * size, centre, atol=0.6)
            rows, columns = np.nonzero(mask)
            np.testing.assert_allclose((columns.mean() + 0.5, rows.mean() + 0.5), centre, atol=0.6)


def test_a_reduced_jpeg_keeps_its_targets_in_place(tmp_path):
    """The boxes are in pixels of the file, not of what was decoded of it."""
    path = tmp_path / "dot.jpg"
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[30:60, 80:120] = 255
    Image.fromarray(pixels).save(path, quality=95)
    record = Record(str(path), image=path, targets={"where": Boxes([[80, 30, 120, 60]], [0])})
    records = Records((record,), {"where": LABELS["where"]})
    for augment in (None, Augment(brightness=(1, 1)), Augment(flip="both")):
        ((x, box),) = data.batches(records, Preprocessing(image=(30, 40, 3)), augment=augment).epoch(0)
        rows, columns = np.nonzero(x[0, ..., 0] > 0.5)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(box[0] * [40, 30, 40, 30], edges, atol=1)


def test_an_example_whose_box_would_leave_the_frame_stays_as_it_is():
    augment = Augment(shift=1.0)
    records = DOTS.select(range(8))
    plain = data.batches(records, Preprocessing(image=(40, 60, 3)), tasks=["where"], shuffle=False, size=8)
    moved = data.batches(
        records, Preprocessing(image=(40, 60, 3)), tasks=["where"], shuffle=False, size=8, augment=augment
    )
    ((x, box),) = plain.epoch(0)
    kept = 0
    for epoch in range(10):
        ((x2, box2),) = moved.epoch(epoch)
        stays = [np.array_equal(one, other) for one, other in zip(x, x2, strict=True)]
        np.testing.assert_array_equal(box[stays], box2[stays])
        assert ((box2[:, 2:] - box2[:, :2]) > 0).all()
        kept += sum(stays)
    assert 5 < kept < 75


def test_a_mosaic_of_masks_and_of_several_classes():
    items = tuple(
        Record(
            f"{i}",
            image=np.full((20, 20, 3), 60 * i, np.uint8),
            targets={"m": np.full((20, 20), i, np.uint8), "c": (i,)},
        )
        for i in range(4)
    )
    labels = {"m": Labels("mask", tuple("abcd")), "c": Labels("classes", tuple("abcd"))}
    made = data.batches(Records(items, labels), Preprocessing(image=(20, 20, 3)), augment=Augment(mosaic=1), size=4)
    for epoch in range(3):
        ((x, y),) = made.epoch(epoch)
        np.testing.assert_allclose(x[..., 0] * 255, 60 * y["m"], atol=1e-3)
        for mask, chosen in zip(y["m"], y["c"], strict=True):
            assert set(np.unique(mask)) <= set(np.flatnonzero(chosen))
    assert len(np.unique(y["m"])) > 1


def test_a_mosaic_goes_on_without_a_partner_that_is_gone(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths:
        Image.new("RGB", (9, 9)).save(path)
    items = tuple(Record(str(path), image=path, targets={"c": (0,)}) for path in paths)
    made = data.batches(
        Records(items, {"c": Labels("classes", ("a",))}), Preprocessing(image=(9, 9, 3)), augment=Augment(mosaic=1)
    )
    paths[2].unlink()
    ((x, _),) = made.epoch(0)
    assert len(x) == 4
    assert [one.source for one in made.lost] == [str(paths[2])]


# The records, the settings, and what the line must say.
@pytest.mark.parametrize(
    ("records", "tasks", "augment", "message"),
    [
        (DOTS, ["where"], Augment(mosaic=0.5), "augment.mosaic: expected targets that hold several boxes"),
        (DOTS, ["middle"], Augment(mosaic=0.5), "augment.mosaic: expected tasks of boxes, masks or several classes"),
        (DOTS, ["where"], Augment(mixup=0.5), "mixing: expected tasks of classes or numbers; got the task 'where'"),
        (DOTS, ["pixels"], Augment(cutmix=0.5), "got the task 'pixels' of the kind 'mask'"),
    ],
)
def test_what_cannot_be_augmented_is_refused_before_training(records, tasks, augment, message):
    with pytest.raises(check.SettingError, match=message):
        data.batches(records, PREPROCESSING, tasks=tasks, augment=augment)


def test_rows_are_not_augmented():
    wine = data.bundled("wine")
    with pytest.raises(check.SettingError, match="augment: expected images; got rows of numbers"):
        data.batches(wine, data.preprocessing(wine), augment=Augment(rotate=3))


def test_two_boxes_are_refused_in_one_line():
    two = Record(
        "street.png", image=np.zeros((9, 9, 3), np.uint8), targets={"where": Boxes([[0, 0, 2, 2]] * 2, [0, 0])}
    )
    with pytest.raises(check.DataError, match=r"street\.png: where: expected an image with one box; got 2 boxes"):
        data.batches(Records((two,), {"where": LABELS["where"]}), PREPROCESSING)


def test_points_that_are_not_one_a_name_are_refused():
    bad = Record("face.png", image=np.zeros((9, 9, 3), np.uint8), targets={"middle": np.zeros((2, 2))})
    with pytest.raises(check.DataError, match=r"face\.png: middle: expected 1 point\(s\)"):
        data.batches(Records((bad,), {"middle": LABELS["middle"]}), PREPROCESSING)


def test_a_missing_mask_is_named_before_training_begins():
    bad = Record("face.png", image=np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(check.DataError, match=r"face\.png: has no target for the task 'pixels'"):
        data.batches(Records((bad,), {"pixels": LABELS["pixels"]}), PREPROCESSING)


def test_a_size_that_is_stated_is_not_read_again(tmp_path):
    """Boxes of a file that does not even exist yet are encoded."""
    record = Record("a", image=tmp_path / "a.png", size=(10, 20), targets={"where": Boxes([[5, 5, 10, 10]], [0])})
    found = data.to_array(Records((record,), {"where": LABELS["where"]}), "where")
    np.testing.assert_array_equal(found, [[0.25, 0.5, 0.5, 1]])


def test_nothing_but_lost_can_be_written_to():
    kept = data.batches(data.bundled("digits")[:4], Preprocessing(image=(8, 8, 1)))
    with pytest.raises(AttributeError):
        kept.size = 3
    with pytest.raises(TypeError):
        kept.examples.targets["label"] = None
    for array in (kept.inputs, kept.examples.targets["label"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    (x, y), *_ = kept.epoch(0)
    x[:], y[:] = 7, 7  # a batch belongs to who took it
    assert next(kept.epoch(0))[0].max() <= 1


@pytest.mark.parametrize("size", [(16, 20), (32, 40), (50, 70), (70, 90)])  # reduced, half, less than half, grown
@pytest.mark.parametrize("cached", [False, True])
def test_a_mirrored_photo_is_the_unchanged_one_backwards_to_the_bit(photos, size, cached, tmp_path):
    preprocessing = Preprocessing(image=(*size, 3))
    augment = Augment(flip="horizontal")
    plain, mirrored = (
        data.batches(photos, preprocessing, shuffle=False, augment=one, cache=tmp_path if cached else None)
        for one in (None, augment)
    )
    ((x, _),), ((x2, _),) = plain.epoch(0), mirrored.epoch(0)
    turned = [not np.array_equal(one, other) for one, other in zip(x, x2, strict=True)]
    assert 0 < sum(turned) < len(x)
    np.testing.assert_array_equal(x2[turned], x[turned][:, :, ::-1])


def test_exact_batches_are_what_prediction_sees(photos):
    preprocessing = Preprocessing(image=(40, 50, 3), scaling="-1..1")
    ((x, _),) = data.batches(photos, preprocessing, shuffle=False, exact=True).epoch(0)
    np.testing.assert_array_equal(x, [preprocessing(record) for record in photos])
    ((x2, _),) = data.batches(photos, preprocessing, shuffle=False).epoch(0)
    assert 0 < np.abs(x - x2).mean() < 2 * 2 / 255


def test_of_each_batch_the_share_is_changed_and_no_more(photos):
    plain = made(photos, shuffle=False)
    some = made(photos, augment=Augment(brightness=(1.5, 1.6), share=0.5), shuffle=False)
    for epoch in range(3):
        for (x, _), (x2, _) in zip(plain.epoch(epoch), some.epoch(epoch), strict=True):
            changed = sum(not np.array_equal(one, other) for one, other in zip(x, x2, strict=True))
            assert changed in ([2] if len(x) == 4 else [1, 2])
