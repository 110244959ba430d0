"""Scaling: by hand, by its affine form, and back from JSON."""

import json

import numpy as np
import pytest

from lensmith import check, data
from lensmith.data import Preprocessing
from lensmith.data.pipeline.assembling import Scaling

PIXELS = np.array([[[0, 51, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [("0..1", [0, 0.2, 1]), ("-1..1", [-1, -0.6, 1]), ("none", [0, 51, 255])],
)
def test_fixed_scalings(scaling, expected):
    result = Preprocessing(image=(1, 1, 3), scaling=scaling)(PIXELS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-6)


def test_standardise_uses_the_statistics_it_was_given():
    made = Preprocessing(image=(1, 1, 3), scaling="standardise", mean=(1, 1, 5), deviation=(2, 10, 0))
    np.testing.assert_allclose(made(PIXELS)[0, 0], [-0.5, 5, 250])  # a deviation of 0 counts as 1


def test_statistics_are_per_channel_and_exact():
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 5, 3), np.uint8)
    made = data.preprocessing(data.from_arrays(images, [0, 1] * 5), scaling="standardise")
    np.testing.assert_allclose(made.mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(made.deviation, images.std(axis=(0, 1, 2)), rtol=1e-12)
    assert made.image == (4, 5, 3)
    scaled = made.scale(images)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=(0, 1, 2)), 1, atol=1e-5)


def test_statistics_are_of_the_size_the_model_sees():
    images = np.array([[[0, 255]], [[255, 0]]], np.uint8)
    made = data.preprocessing(data.from_arrays(images, [0, 1]), image=(1, 1, 1), scaling="standardise")
    assert (made.mean, made.deviation) == ((127.5,), (0.0,))


def test_statistics_of_a_far_off_column_keep_their_digits():
    rows = 1e6 + np.arange(8.0)[:, None]
    made = data.preprocessing(data.from_rows(rows, [0, 1] * 4))
    np.testing.assert_allclose(made.deviation, rows.std(), rtol=1e-9)


def test_rows_are_standardised_by_themselves():
    records = data.bundled("wine")
    made = data.preprocessing(records)
    assert (made.columns, made.scaling, made.shape) == (13, "standardise", (13,))
    table = np.stack([made(record) for record in records])
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(table.std(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize(
    "made",
    [
        Preprocessing(image=(4, 6, 3)),
        Preprocessing(image=(4, 6, 1), scaling="standardise", mean=(0.1 + 0.2,), deviation=(1 / 3,)),
        Preprocessing(columns=2, scaling="standardise", mean=(1, 2), deviation=(0, 1)),
        Preprocessing(columns=2, scaling="none"),
        Preprocessing(image=(4, 6, 3), resize="linear"),
        Preprocessing(image=(4, 6, 3), resize="linear", channels="bgr"),
    ],
)
def test_it_survives_json(made):
    assert Preprocessing.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_the_usual_way_to_resize_is_not_written_and_the_other_is_followed():
    """What was written before there was a choice reads the same, and so do the fingerprints of runs."""
    usual, linear = Preprocessing(image=(1, 2, 1)), Preprocessing(image=(1, 2, 1), resize="linear")
    assert usual.to_dict().keys() == {"scaling", "image"}
    assert linear.to_dict()["resize"] == "linear"
    row = np.array([[[0], [10], [20], [30], [200], [0], [100], [0]]], np.uint8)
    assert linear.raw(row)[0, :, 0].tolist() == [15, 50]
    assert usual.raw(row)[0, :, 0].tolist() == [15, 75]


def test_scale_is_the_affine_form():
    made = Preprocessing(image=(1, 1, 3), scaling="standardise", mean=(120, 110, 100), deviation=(60, 50, 40))
    multiplier, offset = made.affine()
    assert multiplier.dtype == offset.dtype == np.float32
    raw = np.random.default_rng(0).uniform(0, 255, (2, 3, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(made.scale(raw), raw * multiplier + offset)


def test_images_are_resized_and_given_the_channels_of_the_model():
    result = Preprocessing(image=(2, 3, 3))(np.full((9, 9), 255, np.uint8))
    assert result.shape == (2, 3, 3)
    np.testing.assert_allclose(result, 1, atol=1e-6)


# The settings, and what the line must say.
REFUSALS = [
    ({}, "either the size of an image or a number of columns"),
    ({"image": (4, 4, 1), "columns": 2}, "either the size of an image or a number of columns"),
    ({"image": (4, 4, 2)}, r"image: expected \(height, width, 1 or 3 channels\)"),
    ({"image": (4, 4)}, r"image: expected \(height, width, 1 or 3 channels\)"),
    ({"image": (0, 4, 1)}, "image height: expected a whole number of at least 1; got 0"),
    ({"image": (4, 4, 1), "scaling": "standardize"}, "Did you mean 'standardise'"),
    ({"image": (4, 4, 1), "resize": "lineer"}, "preprocessing.resize: .*Did you mean 'linear'"),
    ({"columns": 2, "scaling": "0..1"}, "standardise or none for rows"),
    ({"columns": 2, "scaling": "standardise"}, r"mean: expected 2 finite number\(s\); got None"),
    ({"columns": 2, "scaling": "standardise", "mean": (0, np.nan), "deviation": (1, 1)}, "mean: expected 2 finite"),
    ({"columns": 1, "scaling": "standardise", "mean": (0,), "deviation": (-1,)}, "no negative number"),
    ({"image": (4, 4, 1), "mean": (0,)}, "only the scaling 'standardise' has one"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSALS)
def test_refusals(settings, message):
    with pytest.raises(check.SettingError, match=message):
        Preprocessing(**settings)


def test_an_unknown_key_is_named():
    with pytest.raises(check.SettingError, match="Did you mean 'scaling'"):
        Preprocessing.from_dict({"image": [4, 4, 1], "scalling": "0..1"})


def test_an_example_of_the_other_kind_is_named():
    rows, images = data.bundled("wine"), data.bundled("digits")
    with pytest.raises(check.DataError, match="wine:0: expected an example with the field 'image'; got a row"):
        Preprocessing(image=(8, 8, 1))(rows[0])
    with pytest.raises(check.DataError, match="digits:0: expected an example with the field 'row'; got an image"):
        Preprocessing(columns=3, scaling="none")(images[0])
    with pytest.raises(check.DataError, match=r"wine:0: expected a row of 3 numbers; got shape \(13,\)"):
        Preprocessing(columns=3, scaling="none")(rows[0])


def test_images_of_many_sizes_need_one():
    records = data.from_arrays([np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)], [0, 1])
    with pytest.raises(check.SettingError, match="image: expected"):
        data.preprocessing(records)
    with pytest.raises(check.DataError, match="there are no records"):
        data.preprocessing(records[:0])


def test_the_order_of_channels_changes_before_they_are_scaled():
    """As a network trained with Caffe takes them: blue first, less the mean of each."""
    caffe = Preprocessing(
        image=(1, 1, 3), scaling="standardise", mean=(100, 10, 1), deviation=(1, 1, 1), channels="bgr"
    )
    np.testing.assert_allclose(caffe(PIXELS)[0, 0], [155, 41, -1])
    assert Preprocessing.from_dict(json.loads(json.dumps(caffe.to_dict()))) == caffe
    records = data.from_arrays(np.stack([PIXELS, PIXELS]), [0, 1])
    ((x, _),) = list(data.batches(records, caffe, size=2).epoch(0))  # in memory
    np.testing.assert_allclose(x[0, 0, 0], [155, 41, -1])


def test_gray_images_have_no_order_of_channels():
    with pytest.raises(check.SettingError, match=r"preprocessing\.channels: expected 'rgb' but for colour images"):
        Preprocessing(image=(1, 1, 1), channels="bgr")


@pytest.mark.parametrize(
    "made",
    [
        Preprocessing(image=(4, 6, 3)),
        Preprocessing(image=(4, 6, 3), scaling="-1..1", channels="bgr"),
        Preprocessing(image=(4, 6, 1), scaling="none"),
        Preprocessing(image=(4, 6, 3), scaling="standardise", mean=(0, 0, 9), deviation=(5, 5, 5), channels="bgr"),
        Preprocessing(image=(4, 6, 3), scaling="standardise", mean=(0, 0, 0), deviation=(3, 4, 5)),
        Preprocessing(columns=5, scaling="none"),
        Preprocessing(columns=5, scaling="standardise", mean=range(5), deviation=range(5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_batch_is_scaled_in_place_to_the_bit(made, dtype):
    raw = np.random.default_rng(0).integers(0, 256, made.shape).astype(dtype)
    raw.flat[0] = -0.0
    out, before = np.full(made.shape, np.nan, np.float32), raw.copy()
    Scaling(made)(raw, out)
    expected = made.scale(raw)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))
    np.testing.assert_array_equal(raw, before)
