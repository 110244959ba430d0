"""Files of weights: every header, every byte, and the line that says which layer did not fit."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lensmith import check
from lensmith.compose import zoo
from lensmith.detect.darknet.cfg import parse
from lensmith.detect.darknet.recipe import recipe
from lensmith.detect.darknet.weights import Header, load_weights, read_weights, save_weights

TEXT = """[net]
height=4
width=4
channels=3
[convolutional]
filters=2
size=3
pad=1
batch_normalize=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=5
size=1
activation=linear
[avgpool]
[softmax]
"""
FLOATS = 2 + 6 + 54 + 5 + 10  # biases; scales, means, variances; 2*3*3*3; biases; 5*2


def numbers(count: int = FLOATS) -> np.ndarray:
    return (np.arange(count) / 64 + 0.25).astype("<f4")


def written(path: Path, content: np.ndarray, header: bytes = struct.pack("<iiiq", 0, 2, 5, 9), tail: bytes = b""):
    path.write_bytes(header + content.tobytes() + tail)
    return path


@pytest.fixture
def made():
    return recipe(parse(TEXT))


@pytest.mark.backends
def test_numbers_stand_where_darknet_puts_them(tmp_path: Path, made) -> None:
    found = read_weights(written(tmp_path / "a.weights", numbers()), made)
    assert {name: array.shape for name, array in found.items()} == {
        "learner-layer0/biases": (2,),
        "learner-layer0/scales": (2,),
        "learner-layer0/means": (2,),
        "learner-layer0/variances": (2,),
        "learner-layer0/kernels": (2, 3, 3, 3),
        "learner-layer2/biases": (5,),
        "learner-layer2/kernels": (5, 2, 1, 1),
    }
    assert np.array_equal(np.concatenate([array.reshape(-1) for array in found.values()]), numbers())
    model = made.build(seed=0)
    header = load_weights(model, made, tmp_path / "a.weights")
    assert header == Header((0, 2, 5), 9)
    layer = model.get_layer("learner-layer0-conv")
    # filter 1, channel 2, row 0, column 1: 8 numbers before the kernels, then 27 + 18 + 1
    assert float(np.asarray(layer.kernel)[0, 1, 2, 1]) == numbers()[8 + 27 + 18 + 1]
    assert np.asarray(model.get_layer("learner-layer0-norm").moving_variance).tolist() == numbers()[6:8].tolist()


@pytest.mark.parametrize(
    ("version", "size"),
    [
        ((0, 1, 0), 16),  # the oldest files count images in 32 bits
        ((0, 2, 0), 20),  # from 0.2 on in 64
        ((1, 0, 0), 20),
        ((0, 1001, 0), 16),  # above 1000 the weights of connected layers are transposed, and the count is short again
        ((1001, 0, 0), 16),
    ],
)
def test_every_header_is_written_and_read(version: tuple[int, int, int], size: int, tmp_path: Path, made) -> None:
    header = Header(version, 1234)
    assert len(header.to_bytes()) == size
    path = written(tmp_path / "a.weights", numbers(), header.to_bytes())
    model = made.build(seed=0)
    assert load_weights(model, made, path) == header
    save_weights(tmp_path / "b.weights", model, made, header=header)
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


def test_a_count_beyond_32_bits_is_kept(tmp_path: Path, made) -> None:
    path = written(tmp_path / "a.weights", numbers(), Header((0, 2, 5), 2**40).to_bytes())
    assert load_weights(made.build(seed=0), made, path).seen == 2**40


def test_a_count_that_an_old_header_cannot_hold_is_refused() -> None:
    with pytest.raises(
        check.SettingError, match=r"header.seen: expected numbers of 32 bits, as version \(0, 1, 0\) has"
    ):
        Header((0, 1, 0), 2**31).to_bytes()


@pytest.mark.parametrize(
    ("content", "tail", "line"),
    [
        # one number too few, in the last layer
        (
            numbers(FLOATS - 1),
            b"",
            "learner-layer2: expected 10 numbers for its kernels; got 9. The file ends in learner-layer2; is it of",
        ),
        # the file ends within the first layer's statistics
        (
            numbers(5),
            b"",
            "learner-layer0: expected 2 numbers for its means; got 1. The file ends in learner-layer0; is it of",
        ),
        (
            numbers(0),
            b"",
            "learner-layer0: expected 2 numbers for its biases; got 0. The file ends in learner-layer0; is",
        ),
        (
            numbers(FLOATS + 3),
            b"",
            "expected 77 numbers, the last of them for learner-layer2; got 3 numbers more. The file is",
        ),
        # half a number at the end
        (numbers(), b"ab", "expected 77 numbers, the last of them for learner-layer2; got 2 bytes more."),
        (numbers(), b"a", "expected 77 numbers, the last of them for learner-layer2; got 1 byte more."),
        (numbers(FLOATS + 1), b"a", "for learner-layer2; got 1 number and 1 byte more."),
    ],
)
def test_a_file_of_another_length_is_refused_by_the_layer(
    content: np.ndarray, tail: bytes, line: str, tmp_path: Path, made
) -> None:
    path = written(tmp_path / "a.weights", content, tail=tail)
    model = made.build(seed=0)
    before = [np.asarray(weight) for weight in model.weights]
    with pytest.raises(check.DataError) as caught:
        load_weights(model, made, path)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    for weight, old in zip(model.weights, before, strict=True):
        assert np.array_equal(np.asarray(weight), old)  # all or none


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_the_layer(bad: float, tmp_path: Path, made) -> None:
    content = numbers()
    content[[3, 70]] = bad
    with pytest.raises(check.DataError, match="learner-layer0: expected finite numbers as its scales; got 1 that are"):
        read_weights(written(tmp_path / "a.weights", content), made)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "expected a header of 16 bytes; got 0"),
        (b"\0" * 11, "expected a header of 16 bytes; got 11"),
        (struct.pack("<iiii", 0, 2, 5, 0), "expected a header of 20 bytes; got 16"),
        # text, and numbers without a header
        (
            b"person\nbicycle\ncar\n",
            r"expected weights of Darknet, such as of version 0\.2\.5; got a header of version",
        ),
        (struct.pack("<fffff", 0.5, 0.25, -1, 2, 3), "expected weights of Darknet"),
        (struct.pack("<iiiq", 0, 2, 101, 0), r"got a header of version 0\.2\.101"),
        (struct.pack("<iiiq", 0, 101, 5, 0), r"got a header of version 0\.101\.5"),
        (struct.pack("<iiiq", 1101, 0, 0, 0), r"got a header of version 1101\.0\.0"),  # 1000 is the mark of transposing
        (struct.pack("<iiiq", 0, -1, 5, 0), r"got a header of version 0\.-1\.5"),
    ],
)
def test_a_file_without_a_header_is_refused(content: bytes, line: str, tmp_path: Path, made) -> None:
    (tmp_path / "a.weights").write_bytes(content)
    with pytest.raises(check.DataError, match=line):
        read_weights(tmp_path / "a.weights", made)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, made) -> None:
    with pytest.raises(check.DataError, match=r"none\.weights: cannot be opened: no such file"):
        read_weights(tmp_path / "none.weights", made)
    with pytest.raises(check.DataError, match="cannot be opened"):
        read_weights(tmp_path, made)


def test_the_first_layers_alone_make_a_backbone(tmp_path: Path, made) -> None:
    path = written(tmp_path / "net.conv.2", numbers(62))
    with pytest.raises(check.DataError, match="learner-layer2: expected 5 numbers for its biases; got 0"):
        read_weights(path, made)
    model = made.build(seed=0)
    last = np.asarray(model.get_layer("learner-layer2-conv").kernel)
    load_weights(model, made, path, layers=2)
    assert np.array_equal(np.asarray(model.get_layer("learner-layer2-conv").kernel), last)
    assert np.asarray(model.get_layer("learner-layer0-norm").beta).tolist() == numbers()[:2].tolist()
    save_weights(tmp_path / "again", model, made, header=Header(seen=9), layers=2)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    # a whole file is longer than its first layers
    with pytest.raises(check.DataError, match="the last of them for learner-layer0; got 15 numbers more"):
        load_weights(model, made, written(tmp_path / "a.weights", numbers()), layers=2)


@pytest.mark.parametrize("layers", [0, -1, 6])
def test_layers_that_are_not_there_are_refused(layers: int, tmp_path: Path, made) -> None:
    with pytest.raises(check.SettingError, match="layers: expected a number from 1 to 5"):
        read_weights(written(tmp_path / "a.weights", numbers()), made, layers=layers)


def test_only_networks_of_darknet_have_such_files(tmp_path: Path) -> None:
    other = zoo.get("compact")
    with pytest.raises(check.SettingError, match="expected a recipe of a Darknet network"):
        save_weights(tmp_path / "a.weights", other.build(seed=0), other)
    assert not (tmp_path / "a.weights").exists()
