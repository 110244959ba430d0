"""Networks of Darknet as models: what belongs together, what is refused, and what published ones find."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lensmith import backend, check
from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections
from lensmith.compose import tap_names
from lensmith.detect.darknet import Header, open_darknet, read_cfg, recipe_of
from lensmith.detect.darknet.weights import load_weights, save_weights

CLASSIFIER = "[net]\nheight=4\nwidth=6\nchannels=3\n[conv]\nfilters=2\nactivation=linear\n[avgpool]\n[softmax]\n"


def made(folder: Path, text: str = CLASSIFIER, count: int = 8) -> Path:
    (folder / "a.cfg").write_text(text)
    numbers = np.arange(count, dtype="<f4")
    (folder / "a.weights").write_bytes(struct.pack("<iiiq", 0, 2, 5, 0) + numbers.tobytes())
    (folder / "a.names").write_text("cat\ndog\n")
    return folder / "a.cfg"


def test_the_files_of_a_classifier_make_a_model(tmp_path: Path) -> None:
    cfg = made(tmp_path)
    network = open_darknet(cfg, cfg.with_suffix(".weights"), cfg.with_suffix(".names"))
    assert network.labels["label"].kind == "class"
    assert network.labels["label"].names == ("cat", "dog")
    assert network.preprocessing.shape == (4, 6, 3)
    assert network.preprocessing.scaling == "0..1"
    assert network.header == Header((0, 2, 5), 0)
    # biases 0, 1 and kernels 2 3 4 and 5 6 7, of an image that is 1 everywhere: 9 and 19
    answer = np.asarray(network.model.predict(np.ones((1, 4, 6, 3), np.float32), verbose=0))[0]
    assert answer == pytest.approx(np.exp([-10, 0]) / np.exp([-10, 0]).sum(), rel=1e-5)


def test_classes_without_names_are_called_by_their_numbers(tmp_path: Path) -> None:
    cfg = made(tmp_path)
    assert open_darknet(cfg, cfg.with_suffix(".weights")).labels["label"].names == ("0", "1")


def test_without_weights_it_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(check.SettingError, match=r"a\.cfg: expected the file of weights that belongs to it; got none"):
        open_darknet(made(tmp_path), None)


def test_what_does_not_belong_together_is_one_line(tmp_path: Path) -> None:
    cfg = made(tmp_path, count=9)
    with pytest.raises(check.DataError, match=r"a\.weights: expected 8 numbers, .* learner-layer0; got 1 number more"):
        open_darknet(cfg, cfg.with_suffix(".weights"))
    cfg = made(tmp_path)
    (tmp_path / "a.names").write_text("cat\n")
    with pytest.raises(check.DataError, match=r"a\.names: expected 2 names, as the network has classes; got 1"):
        open_darknet(cfg, cfg.with_suffix(".weights"), tmp_path / "a.names")


# class, score and box (share of the image) of every object as OpenCV 4.14 finds them, whose reader and whose
# suppression share nothing with ours; both got our blob. Score 0.25, IoU 0.45.
FOUND = {
    ("1.1_coco/yolo-fastest-1.1-xl", "dog"): [
        ("dog", 0.9584, (0.148, 0.327, 0.502, 0.930)),
        ("bicycle", 0.8939, (0.147, 0.220, 0.747, 0.863)),
        ("car", 0.8410, (0.586, 0.136, 0.891, 0.282)),
        ("truck", 0.2564, (0.592, 0.114, 0.861, 0.273)),
    ],
    ("1.0_coco/yolo-fastest-xl", "person"): [
        ("person", 0.9951, (0.285, 0.208, 0.425, 0.872)),
        ("dog", 0.9933, (0.104, 0.619, 0.319, 0.841)),
        ("cow", 0.9656, (0.606, 0.334, 0.948, 0.790)),
    ],
    ("1.0_coco/yolo-fastest", "person"): [
        ("person", 0.9820, (0.290, 0.264, 0.438, 0.846)),
        ("dog", 0.7657, (0.101, 0.610, 0.324, 0.825)),
        ("sheep", 0.6269, (0.666, 0.294, 0.955, 0.828)),
        ("horse", 0.3288, (0.608, 0.362, 0.959, 0.758)),
    ],
    ("1.1_coco/yolo-fastest-1.1", "person"): [
        ("person", 0.9861, (0.285, 0.207, 0.422, 0.897)),
        ("dog", 0.8527, (0.115, 0.612, 0.332, 0.833)),
        ("sheep", 0.7736, (0.656, 0.333, 0.911, 0.754)),
    ],
    ("1.1_body/yolo-fastest-1.1_body", "person"): [
        ("body", 0.9963, (0.288, 0.232, 0.427, 0.884)),
    ],
}


@pytest.mark.parametrize(("network", "photo"), FOUND)
def test_published_networks_find_what_opencv_finds(network: str, photo: str, shared_data: Path) -> None:
    path = shared_data / "yolo_fastest" / "ModelZoo" / f"yolo-fastest-{network}.cfg"
    opened = open_darknet(path, path.with_suffix(".weights"), next(path.parent.glob("*.data")))
    image = opened.preprocessing(shared_data / "darknet" / "data" / f"{photo}.jpg")
    rows = np.asarray(backend.predict(opened.model, image[None]))[0]
    found = detections(rows, Thresholds())
    names = opened.labels["objects"].names
    expected = FOUND[network, photo]
    assert [names[int(kind)] for kind in found[:, 5]] == [name for name, _, _ in expected]
    np.testing.assert_allclose(found[:, 4], [score for _, score, _ in expected], atol=1e-4)
    np.testing.assert_allclose(found[:, :4], [box for _, _, box in expected], atol=6e-4)
    if network.endswith("1.1-xl"):
        assert {"P3", "P4", "P5"} <= set(tap_names(opened.model))


@pytest.mark.parametrize("name", sorted({network for network, _ in FOUND}))
def test_a_published_file_is_written_again_byte_by_byte(name: str, shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "yolo_fastest" / "ModelZoo" / f"yolo-fastest-{name}.weights"
    recipe = recipe_of(read_cfg(file.with_suffix(".cfg")))
    model = recipe.build(seed=0)
    header = load_weights(model, recipe, file)
    assert header.version == (0, 2, 5)
    save_weights(tmp_path / "again.weights", model, recipe, header=header)
    assert (tmp_path / "again.weights").read_bytes() == file.read_bytes()
