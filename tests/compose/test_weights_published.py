"""Published weights: their table, how they are fetched, and that real ones give the published results."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import weights, zoo
from lensmith.compose.weights.table import ROWS
from lensmith.compose.zoo.mobilenet import mobilenet_v1

SOURCES = [(row, name, source) for row, each in weights.PUBLISHED.items() for name, source in each.items()]


def test_checksums_are_those_that_keras_has_in_its_code() -> None:
    folder = Path(keras.__file__).parent / "src" / "applications"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for row in ROWS.values():
        if row.data == "imagenet":
            assert [sum_ for sum_ in row.checksums if sum_ is not None and sum_ not in code] == []
    assert weights.PUBLISHED["vgg16"]["imagenet"].classes.md5 in code


@pytest.mark.parametrize(("row", "name", "source"), SOURCES, ids=[f"{row} {name}" for row, name, _ in SOURCES])
def test_each_source_says_what_is_needed(row: str, name: str, source: weights.Source) -> None:
    assert source.names in weights.maps_for(row)
    assert source.url.startswith("https://")
    assert source.head == ("-features" not in name)
    assert source.preprocessing["channels"] in ("rgb", "bgr")
    assert (source.preprocessing["scaling"] == "standardise") == ("mean" in source.preprocessing)
    assert len(source.checksum or "") in (0, 32, 64)  # none, MD5 or SHA-256
    assert source.classes.names is None or len(source.classes.names) == source.classes.count


@pytest.mark.parametrize(
    ("row", "mode"),
    [("vgg16", "caffe"), ("resnet50-v1-keras", "caffe"), ("resnet50-v2-keras", "tf"), ("resnet20-cifar-v1", "torch")],
)
def test_preprocessing_is_that_of_keras(row: str, mode: str) -> None:
    from lensmith.data import Preprocessing

    x = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.float32)
    fields = dict(next(iter(weights.PUBLISHED[row].values())).preprocessing)
    channels = fields.pop("channels")
    ours = Preprocessing(image=(5, 4, 3), **fields).scale(x[..., ::-1] if channels == "bgr" else x)
    expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_a_row_without_published_weights_and_a_wrong_name_are_refused() -> None:
    with pytest.raises(check.SettingError, match="Did you mean 'vgg19'"):
        weights.source_of("vgg-19")
    with pytest.raises(check.SettingError, match="Did you mean 'imagenet'"):
        weights.source_of("vgg16", "imagnet")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: Any) -> weights.Source:
    """A source that is a file beside the test; Keras' cache is an empty folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    published = tmp_path / "published.npz"
    np.savez(published, w=np.ones(3))
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    known = weights.PUBLISHED["vgg16"]["imagenet"]
    return replace(known, file="published.npz", url=published.as_uri(), checksum=digest)


def _cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "models").glob("*"))


def test_fetched_once_and_then_found(source: weights.Source, tmp_path: Path) -> None:
    path = weights.fetch(source)
    assert (path, _cached(tmp_path)) == (tmp_path / "cache" / "models" / "published.npz", ["published.npz"])
    (tmp_path / "published.npz").unlink()
    assert weights.fetch(source) == path
    assert weights.read(path)["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("before", [None, b"put there by hand, and wrong"])
def test_what_cannot_be_fetched_leaves_nothing_behind(
    before: bytes | None, source: weights.Source, tmp_path: Path
) -> None:
    target = tmp_path / "cache" / "models" / "published.npz"
    if before:
        target.parent.mkdir(parents=True)
        target.write_bytes(before)
    missing = replace(source, url=(tmp_path / "nowhere.npz").as_uri())  # as good as no network
    other = replace(source, checksum="0" * 64)  # what came is not what was published
    for wrong in (missing, other):
        with pytest.raises(check.LensmithError) as caught:
            weights.fetch(wrong)
        text = str(caught.value)
        assert "\n" not in text
        assert wrong.url in text
        assert f"put it there: {target}" in text
        assert _cached(tmp_path) == (["published.npz"] if before else [])
        assert before is None or target.read_bytes() == before


@pytest.mark.slow
def test_a_published_cifar_network_reaches_its_accuracy(shared_data: Path) -> None:
    """91.5 % of these 1,000 test images were measured with the authors' code (8.27 % error on all 10,000)."""
    ours = zoo.get("resnet20-cifar-v1").build(seed=0)
    report = weights.load(ours, "resnet20-cifar-v1", shared_data / "resnet_cifar10" / "resnet20-12fca82f.npz")
    assert (len(report.loaded), report.left, report.unused) == (97, (), ())
    fields = weights.PUBLISHED["resnet20-cifar-v1"]["cifar10"].preprocessing
    with np.load(shared_data / "cifar10_5000" / "cifar10_exact_5000.npz") as file:
        x, y = file["x_test"], file["y_test"]
    x = (x.astype(np.float32) - np.float32(fields["mean"])) / np.float32(fields["deviation"])
    got = ours.predict(x, batch_size=250, verbose=0).argmax(axis=1)
    assert (got == y).mean() >= 0.91


def test_a_published_mobilenet_knows_an_elephant(shared_data: Path) -> None:
    from lensmith.data import Preprocessing

    ours = mobilenet_v1(0.25).build(seed=0)
    report = weights.load(ours, "mobilenet-v1-0.25", shared_data / "mobilenet_v1_025" / "mobilenet_v1_0.25_224.h5")
    assert (report.names, len(report.loaded)) == ("keras.applications MobileNet V1", 137)
    image = Preprocessing(image=(224, 224, 3), scaling="-1..1")(
        shared_data / "photos" / "creative_commons_elephant.jpg"
    )
    assert ours.predict(image[None], verbose=0)[0].argmax() == 386  # African elephant


@pytest.mark.slow
def test_a_published_part_of_vgg19_fits_a_recipe_that_ends_where_it_does(shared_data: Path) -> None:
    from lensmith.compose import Conv, Group, Groups

    vgg19 = zoo.get("vgg19")
    colours = Group(Conv(1, activation="linear"), filters=3)  # its first layer scales the colours
    groups = Groups(
        colours,
        Group(Conv(), filters=(64, 64), pool=2),
        Group(Conv(), filters=(128, 128), pool=2),
        Group(Conv(), filters=256),
    )
    ours = replace(vgg19, input=(31, 45, 3), learner=groups).build(seed=0)
    arrays = weights.read(shared_data / "vgg19_to_relu3_1" / "vgg_normalised_conv3_1.npz")
    report = weights.assign(ours, arrays, weights.maps_for("vgg19")[2], head=False)
    assert len(report.loaded) == 12
    kernel = next(weight for weight in ours.weights if weight.path == "learner-group4-block1-conv/kernel")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(kernel.value)[1, 2, 3, 4], arrays["16.weight"][4, 3, 1, 2])
