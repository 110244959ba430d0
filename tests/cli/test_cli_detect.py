"""``lensmith detect`` as a user calls it: pictures, documents, COCO results, videos, and what is refused."""

import io
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from calling import document, lensmith, process
from PIL import Image

from colour_detector import ColourDetector, canvas
from lensmith import ship
from lensmith.boxes import Thresholds
from lensmith.compose import Basic, Classify, ConvStem, Group, Groups, Recipe
from lensmith.compose.detection import YoloV2
from lensmith.data import Preprocessing, photo
from lensmith.detect import video
from lensmith.detect.finding import find
from lensmith.records import Labels
from lensmith.runs import detecting

BOX = [10.0, 20.0, 30.0, 50.0]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, and a MODEL named ``colours`` that finds plain colours."""
    usual = detecting.open_model

    def opened(model: Any, weights: Any = None, names: Any = None) -> Any:
        return ColourDetector() if str(model) == "colours" else usual(model, weights, names)

    monkeypatch.setattr(detecting, "open_model", opened)
    folder = tmp_path / "place"
    (folder / "in" / "deep").mkdir(parents=True)
    save(folder / "one.png", canvas((60, 100), ("red", (10, 20, 30, 50)), ("blue", (70, 5, 100, 15))))
    save(folder / "in" / "two.png", canvas((60, 100), ("green", (40, 30, 50, 40))))
    save(folder / "in" / "deep" / "one.png", canvas((40, 40)))
    (folder / "in" / "notes.txt").write_text("no picture")
    (folder / "in" / ".hidden.png").write_text("no picture")
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def clip(path: Path, count: int) -> None:
    """A video of a red patch that moves by 20 pixels a frame."""
    places = (10 + 20 * index for index in range(count))
    video.write(path, 10, (canvas((64, 200), ("red", (x, 20, x + 30, 50))) for x in places))


def cut_video(path: Path) -> None:
    """A video of 40 frames of noise, of which the second half is missing."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for noise in np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8):
        writer.write(noise)
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


class PaleDetector(ColourDetector):
    """As its base, for colours that a video has changed a little."""

    def _rows(self, example: Any) -> np.ndarray:
        pixels = np.asarray(example.image)
        red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=2) < 60)
        return super()._rows(np.where(red[..., None], np.array([255, 0, 0], np.uint8), 90 + 0 * pixels))


# --- what is told --------------------------------------------------------------------------------------------------


def test_document(place: Path) -> None:
    told = document(lensmith("detect", "colours", "one.png", "in", "--json", cwd=place))
    one, deep, two = sorted(told["images"], key=lambda image: image["file"].replace("in/", "z"))
    assert one == {
        "file": "one.png",
        "width": 100,
        "height": 60,
        "detections": [
            {"label": "red", "score": 0.9, "box": BOX},
            {"label": "blue", "score": 0.6, "box": [70.0, 5.0, 100.0, 15.0]},
        ],
    }
    assert (deep["file"], deep["detections"]) == ("in/deep/one.png", [])
    assert (two["file"], two["detections"][0]["label"]) == ("in/two.png", "green")
    assert told["refused"] == []
    assert sorted(told["pictures"]) == ["detections/deep/one.png", "detections/one.png", "detections/two.png"]
    assert all((place / picture).is_file() for picture in told["pictures"])


def test_table(place: Path) -> None:
    done = lensmith("detect", "colours", "one.png", "--no-pictures", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "one.png  100×60 pixels, 2 found",
        "  red   0.900     10    20    30    50",
        "  blue  0.600     70     5   100    15",
    ]
    assert not (place / "detections").exists()


def test_the_rest_of_many_is_counted(place: Path) -> None:
    patches = [("red", (10 * index, 10, 10 * index + 5, 15)) for index in range(1, 26)]
    save(place / "many.png", canvas((30, 300), *patches))
    lines = lensmith("detect", "colours", "many.png", "--no-pictures", cwd=place).stdout.splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 5 more"


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ([], ["red", "blue"]),
        (["--score", "0.7"], ["red"]),
        (["--score", "1"], []),
        (["--most", "1"], ["red"]),
        (["--classes", "blue"], ["blue"]),
        (["--classes", "blue,red"], ["red", "blue"]),
        (["--classes", "blue", "--classes", "green"], ["blue"]),
        (["--tiles", "40"], ["red", "blue"]),
        (["--tiles", "40", "--overlap", "0.5", "--only-tiles"], ["blue", "red"]),
        (["--task", "objects"], ["red", "blue"]),
    ],
)
def test_options(place: Path, options: list[str], labels: list[str]) -> None:
    told = document(lensmith("detect", "colours", "one.png", "--json", "--no-pictures", *options, cwd=place))
    found = told["images"][0]["detections"]
    assert [one["label"] for one in found] == labels
    assert all(one["box"] == BOX for one in found if one["label"] == "red"), "whole, whatever the tiles"


def test_photo_that_is_installed(place: Path) -> None:
    told = document(lensmith("detect", "colours", "bundled:china", "--json", cwd=place))
    assert (told["images"][0]["width"], told["images"][0]["height"]) == (640, 427)
    assert told["pictures"] == ["detections/china.jpg"]


def test_a_turned_photo_is_told_of_upright(place: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row is the right side
    upright = canvas((60, 100), ("red", (10, 20, 30, 50)))
    Image.fromarray(np.rot90(upright)).save(place / "turned.png", exif=exif)
    told = document(lensmith("detect", "colours", "turned.png", "--json", "--no-pictures", cwd=place))["images"][0]
    assert (told["width"], told["height"]) == (100, 60)
    assert told["detections"][0]["box"] == BOX


# --- pictures ------------------------------------------------------------------------------------------------------


def test_pictures_never_replace_others(place: Path) -> None:
    save(place / "in" / "ONE.png", canvas((40, 40)))
    first = document(lensmith("detect", "colours", "one.png", "in", "one.png", "--json", cwd=place))["pictures"]
    assert sorted(first) == [
        "detections/ONE-2.png",
        "detections/deep/one.png",
        "detections/one-3.png",
        "detections/one.png",
        "detections/two.png",
    ]
    again = document(lensmith("detect", "colours", "one.png", "--json", cwd=place))["pictures"]
    assert again == ["detections-2/one.png"]
    done = lensmith("detect", "colours", "one.png", "--out", "in", cwd=place)
    assert done.returncode == 2
    assert done.stderr == (
        "lensmith: --out in: expected a new or empty folder; got one that holds something. Name another folder\n"
    )


def test_pictures_keep_their_format(place: Path) -> None:
    names = ("a.jpg", "b.JPEG", "c.bmp", "d.webp", "e.gif")
    for name in names:
        save(place / name, canvas((400, 400)))
    told = document(lensmith("detect", "colours", *names, "--out", "o", "--json", cwd=place))
    assert sorted(told["pictures"]) == ["o/a.jpg", "o/b.JPEG", "o/c.png", "o/d.png", "o/e.png"]
    starts = [(place / picture).read_bytes()[:3] for picture in sorted(told["pictures"])]
    assert starts == [b"\xff\xd8\xff"] * 2 + [b"\x89PN"] * 3


# --- COCO ----------------------------------------------------------------------------------------------------------


def test_coco_results_by_position(place: Path) -> None:
    done = lensmith("detect", "colours", "one.png", "in/two.png", "--coco", "r.json", "--no-pictures", cwd=place)
    assert "image_id: the positions of the pictures, from 1; category_id: the places of the classes" in done.stdout
    assert json.loads((place / "r.json").read_text()) == [
        {"image_id": 1, "category_id": 1, "bbox": [10.0, 20.0, 20.0, 30.0], "score": 0.9},
        {"image_id": 1, "category_id": 3, "bbox": [70.0, 5.0, 30.0, 10.0], "score": 0.6},
        {"image_id": 2, "category_id": 2, "bbox": [40.0, 30.0, 10.0, 10.0], "score": 0.9},
    ]


def test_coco_results_by_annotations(place: Path) -> None:
    known = {
        "images": [{"id": 70, "file_name": "val/two.png"}, {"id": 7, "file_name": "one.png"}],
        "categories": [{"id": 11, "name": "Red"}, {"id": 12, "name": "green"}],  # blue is not one of them
    }
    (place / "known.json").write_text(json.dumps(known))
    words = ("--coco", "r.json", "--images", "known.json", "--no-pictures", "--json")
    told = document(lensmith("detect", "colours", "one.png", "in/two.png", *words, cwd=place))
    assert told["coco"] == "r.json"
    assert [(one["image_id"], one["category_id"]) for one in json.loads((place / "r.json").read_text())] == [
        (7, 11),
        (70, 12),
    ]
    done = lensmith("detect", "colours", "in/deep/one.png", "bundled:china", *words, cwd=place)
    assert done.returncode == 1
    assert "COCO results: expected pictures that known.json lists; got 'china.jpg'" in done.stderr


# --- videos --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pale(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(detecting, "open_model", lambda *_: PaleDetector())
    return place


def test_a_video_frame_by_frame(pale: Path) -> None:
    clip(pale / "clip.mp4", 10)
    done = lensmith("detect", "colours", "clip.mp4", "one.png", "--json", "--out", "o", cwd=pale)
    told = document(done)
    assert told["pictures"] == ["o/clip.mp4", "o/one.png"]
    frames = told["images"][:-1]
    assert [frame["frame"] for frame in frames] == list(range(10))
    assert [frame["time"] for frame in frames] == [index / 10 for index in range(10)]
    for index, frame in enumerate(frames[:8]):  # later the patch leaves the picture
        [found] = frame["detections"]
        np.testing.assert_allclose(found["box"], [10 + 20 * index, 20, 40 + 20 * index, 50], atol=2)
    with video.reading(pale / "o" / "clip.mp4") as drawn:
        pictures = [frame.pixels for frame in drawn]
        assert drawn.fps == 10
    assert len(pictures) == 10
    assert pictures[0].shape == (128, 400, 3), "200 pixels are enlarged twice, so that names can be read"


def test_a_video_for_a_person(pale: Path) -> None:
    clip(pale / "clip.mp4", 5)
    done = lensmith("detect", "colours", "clip.mp4", "--no-pictures", cwd=pale)
    assert done.stdout.splitlines() == ["clip.mp4  200×64 pixels, 5 frames, 5 found", "  red: 5 in 5 frames"]


def test_of_a_damaged_video_the_first_frames(pale: Path) -> None:
    cut_video(pale / "v.avi")
    done = lensmith("detect", "colours", "v.avi", "one.png", "--json", "--out", "o", cwd=pale)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    count = len(told["images"]) - 1
    assert 15 <= count < 25
    line = f"v.avi: expected 40 frames; got the first {count}: the file is damaged or cut short"
    assert told["refused"] == [line]
    assert done.stderr.endswith(f"\nlensmith: {line}\n")
    with video.reading(pale / "o" / "v.mp4") as drawn:
        assert len(list(drawn)) == count
    (pale / "no.mp4").write_bytes(b"no video")
    done = lensmith("detect", "colours", "no.mp4", "one.png", "--no-pictures", cwd=pale)
    assert (done.returncode, done.stdout.count("found")) == (1, 1)
    assert done.stderr.count("\n") == 1
    assert "no.mp4: expected a video that FFmpeg can read" in done.stderr


# --- refused -------------------------------------------------------------------------------------------------------


def test_the_others_are_answered(place: Path) -> None:
    (place / "in" / "bad.png").write_bytes(b"no picture")
    (place / "empty").mkdir()
    done = lensmith("detect", "colours", "in", "empty", "gone.png", "one.png", "--json", "--no-pictures", cwd=place)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [image["file"] for image in told["images"]] == ["in/two.png", "in/deep/one.png", "one.png"]
    assert len(told["refused"]) == 3
    assert done.stderr.splitlines()[-3:] == [f"lensmith: {line}" for line in told["refused"]]
    for words in ("empty: expected images or videos", "bad.png: not an image", "gone.png: the file is missing"):
        assert any(words in line for line in told["refused"])


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["colours", "one.png", "--score", "1.5"], 2, "--score: expected a number from 0 to 1; got 1.5"),
        (["colours", "one.png", "--score", "nan"], 2, "--score: expected a number from 0 to 1; got nan"),
        (["colours", "one.png", "--iou", "-0.1"], 2, "--iou: expected a number from 0 to 1; got -0.1"),
        (["colours", "one.png", "--most", "0"], 2, "--most: expected a whole number of at least 1; got 0"),
        (["colours", "one.png", "--classes", "gren"], 2, "got 'gren'. Did you mean 'green'?"),
        (["nothing", "one.png", "--classes", ","], 2, "--classes: expected names of classes; got ','"),
        (["colours", "one.png", "--classes", ""], 2, "--classes: expected names of classes; got ''"),
        # known before the model is opened
        (["nothing", "one.png", "--coco", "one.png/r.json"], 1, "could not write one.png/r.json: not a directory"),
        (["in", "one.png", "--weights", "w"], 2, "--weights: expected none beside a model that brings its own; got w"),
        (["in/notes.txt", "one.png"], 1, "in/notes.txt: expected a run, a saved model, an artifact (.onnx) or a"),
        (["colours", "one.png", "--task", "x"], 2, "task: expected one of objects; got 'x'"),
        (["colours", "one.png", "--tiles", "8"], 2, "tiles: expected a side of at least 32 pixels; got 8"),
        (["colours", "one.png", "--overlap", "0.2"], 2, "--overlap: expected --tiles PIXELS beside it; got none"),
        (["colours", "one.png", "--only-tiles"], 2, "--only-tiles: expected --tiles PIXELS beside it; got none"),
        (["colours", "one.png", "--images", "x.json"], 2, "--annotations: expected --coco FILE beside it; got none"),
        (["colours", "one.png", "--coco", "in"], 2, "--coco: expected the name of a file; got in, which is a folder"),
        (["colours", "one.png", "--coco", "a", "--images", "a"], 2, "--coco: expected another file"),
        (["colours", "one.png", "--coco", "a", "--images", "b"], 1, "b: no such file or directory"),
        (["colours", "one.png", "--out", "o", "--no-pictures"], 2, "--out: expected pictures to put there"),
        (["colours", "one.png", "--out", "one.png"], 2, "--out one.png: expected a new or empty folder; got a file"),
        (["colours", "in/deep/none"], 1, "in/deep/none: the file is missing"),
        (["net.cfg", "one.png"], 2, "--weights: expected FILE.weights, which net.cfg needs; got none"),
        (["model", "one.png", "--names", "a"], 2, "--names: expected none beside a model that has its own; got a"),
        (["nothing", "one.png"], 2, "nothing: expected a run, a saved model or an artifact"),
        (["colours", "bundled:chna"], 2, "Did you mean 'china'?"),
    ],
)
def test_refused_in_one_line(place: Path, words: list[str], status: int, line: str) -> None:
    done = lensmith("detect", *words, cwd=place)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("lensmith: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["in", "one.png"]


def test_weights_that_lie_beside_are_named(place: Path) -> None:
    (place / "net.weights").write_bytes(b"")
    assert "Is it net.weights?" in lensmith("detect", "net.cfg", "one.png", cwd=place).stderr


def test_weights_are_no_model(place: Path) -> None:
    (place / "net.weights").write_bytes(b"\0" * 40)
    done = lensmith("detect", "net.weights", "one.png", cwd=place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Name the .cfg, and this file with --weights" in done.stderr
    assert not (place / "detections").exists()


def test_a_warning_is_one_plain_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"net.cfg:27: [net] has no setting {'x' * 100!r}; it was ignored"
    usual = detecting.open_model

    def opened(*words: Any) -> Any:
        logging.getLogger(detecting.__name__).warning("%s", line)
        return usual(*words)

    monkeypatch.setattr(detecting, "open_model", opened)
    told = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(told))  # as a library that is imported leaves one
    done = lensmith("detect", "colours", "one.png", "--no-pictures", "--json", cwd=place)
    assert done.stderr.splitlines()[0] == line
    assert done.stderr.count("net.cfg:27") == 1
    assert told.getvalue() == ""


def test_the_document_says_that_there_was_nothing_to_look_at(place: Path) -> None:
    (place / "empty").mkdir()
    done = lensmith("detect", "colours", "empty", "empty", "--json", cwd=place)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["images"], told["pictures"], told["coco"]) == ([], [], None)
    assert len(told["refused"]) == 2
    assert done.stderr.splitlines() == [f"lensmith: {line}" for line in told["refused"]]


def test_a_folder_with_nothing_to_look_at(place: Path) -> None:
    (place / "empty").mkdir()
    done = lensmith("detect", "colours", "empty", cwd=place)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lensmith: empty: expected images or videos (bmp, gif,")
    assert done.stderr.count("\n") == 1
    assert not (place / "detections").exists()


# --- models --------------------------------------------------------------------------------------------------------

RECIPE = Recipe(
    input=(32, 32, 3),
    stem=ConvStem(4, kernel=3, stride=2),
    learner=Groups(Group(Basic(), filters=6), Group(Basic(), filters=8)),
    tasks={"objects": YoloV2(2, anchors=((8, 8), (16, 12)), tap="P3", passthrough="P2", width=8)},
)
SOME = ("--score", "0", "--most", "5", "--no-pictures", "--json")  # of weights that learnt nothing


@pytest.fixture
def saved(tmp_path: Path) -> ship.Saved:
    labels = {"objects": Labels("boxes", ("cat", "dog"))}
    made = ship.Saved(RECIPE.build(seed=0), RECIPE, labels, Preprocessing(image=RECIPE.input))
    ship.save(tmp_path / "model", made)
    return made


def test_a_saved_model(saved: ship.Saved, tmp_path: Path) -> None:
    told = document(lensmith("detect", "model", "bundled:china", *SOME, cwd=tmp_path))["images"][0]
    found = find(saved, photo("china"), thresholds=Thresholds(score=0.0, most=5))
    assert len(found) == 5
    assert told["detections"] == found.to_dicts()
    assert document(lensmith("detect", "model", "bundled:china", "--json", cwd=tmp_path))["pictures"] != []


def test_predict_tells_boxes_to_a_person(tmp_path: Path) -> None:
    task = replace(RECIPE.tasks["objects"], thresholds=Thresholds(score=0.0, most=2))  # type: ignore[type-var]
    recipe = replace(RECIPE, tasks={"objects": task})
    labels = {"objects": Labels("boxes", ("cat", "dog"))}
    ship.save(tmp_path / "m", ship.Saved(recipe.build(seed=0), recipe, labels, Preprocessing(image=recipe.input)))
    told = document(lensmith("predict", "m", "bundled:china", "--json", cwd=tmp_path))[0]["tasks"]["objects"]
    boxes = [" ".join(str(round(side)) for side in one["box"]) for one in told]
    said = [f"{one['label']} {one['score']:.3f} ({box})" for one, box in zip(told, boxes, strict=True)]
    assert len(said) == 2
    done = lensmith("predict", "m", "bundled:china", cwd=tmp_path)
    assert done.stdout.splitlines()[1:] == ["  objects: " + ", ".join(said)]


def test_predict_names_the_classes_of_a_darknet_network(place: Path) -> None:
    (place / "net.cfg").write_text(
        "[net]\nheight=4\nwidth=4\nchannels=3\n[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
        "[avgpool]\n[softmax]\n"
    )
    numbers = np.array([0, 9, 0, 0, 0, 0, 0, 0], "<f4")  # the second class, whatever is seen
    (place / "net.weights").write_bytes(np.array([0, 2, 5, 0, 0], "<i4").tobytes() + numbers.tobytes())
    (place / "net.names").write_text("cat\ndog\n")
    words = ("predict", "net.cfg", "one.png", "--weights", "net.weights", "--json")
    for named, label in (((), "1"), (("--names", "net.names"), "dog")):
        told = document(lensmith(*words, *named, cwd=place))[0]["tasks"]
        [[best, _]] = told.values()
        assert best["label"] == label
        assert best["score"] > 0.99
    done = lensmith("predict", "in", "one.png", "--names", "net.names", cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--names: expected none beside a model that has its own" in done.stderr


def test_a_model_that_finds_nothing(tmp_path: Path) -> None:
    recipe = replace(RECIPE, tasks={"label": Classify(2)})
    labels = {"label": Labels("class", ("a", "b"))}
    ship.save(tmp_path / "m", ship.Saved(recipe.build(), recipe, labels, Preprocessing(image=recipe.input)))
    done = lensmith("detect", "m", "bundled:china", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "lensmith: the model's tasks: expected one that finds objects; got label (class)."
        " lensmith predict asks such a model\n"
    )


@pytest.mark.slow  # the exporter takes its time
def test_an_artifact_tells_what_its_model_tells(saved: ship.Saved, tmp_path: Path) -> None:
    ship.export(saved, tmp_path / "model.onnx", [photo("china"), photo("flower")])
    words = ("bundled:china", "bundled:flower", *SOME, "--tiles", "200")
    shipped, kept = (document(lensmith("detect", name, *words, cwd=tmp_path)) for name in ("model.onnx", "model"))
    for one, other in zip(shipped["images"], kept["images"], strict=True):
        assert [found["label"] for found in one["detections"]] == [found["label"] for found in other["detections"]]
        for found, expected in zip(one["detections"], other["detections"], strict=True):
            assert found["score"] == pytest.approx(expected["score"], abs=1e-4)
            np.testing.assert_allclose(found["box"], expected["box"], atol=0.1)


def darknet(shared_data: Path) -> tuple[str, ...]:
    folder = shared_data / "yolo_fastest" / "ModelZoo" / "yolo-fastest-1.1_coco"
    named = ("--weights", folder / "yolo-fastest-1.1-xl.weights", "--names", folder / "coco.names")
    return str(folder / "yolo-fastest-1.1-xl.cfg"), *map(str, named)


def test_a_darknet_pair(shared_data: Path, tmp_path: Path) -> None:
    model, *named = darknet(shared_data)
    photos = shared_data / "darknet" / "data"
    told = document(lensmith("detect", model, photos / "dog.jpg", photos / "eagle.jpg", *named, "--json", cwd=tmp_path))
    dog, eagle = told["images"]
    # Where a person sees them, to a tenth of the photo.
    expected = {"dog": [130, 220, 310, 540], "bicycle": [115, 120, 570, 425]}
    boxes = {found["label"]: found["box"] for found in dog["detections"]}
    for label, box in expected.items():
        np.testing.assert_allclose(boxes[label], box, atol=80)
    assert [found["label"] for found in eagle["detections"]] == ["bird"]
    assert eagle["detections"][0]["score"] > 0.9
    assert [Path(picture).name for picture in told["pictures"]] == ["dog.jpg", "eagle.jpg"]


def test_darknet_without_names_has_numbers(shared_data: Path, tmp_path: Path) -> None:
    model, *named = darknet(shared_data)
    photo = shared_data / "darknet" / "data" / "eagle.jpg"
    told = document(lensmith("detect", model, photo, *named[:2], "--json", "--no-pictures", cwd=tmp_path))
    assert [found["label"] for found in told["images"][0]["detections"]] == ["14"]
    (tmp_path / "few.names").write_text("a\nb\n")
    done = lensmith("detect", model, photo, *named[:2], "--names", "few.names", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "few.names: expected 80 names" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow  # a process of its own: FFmpeg writes past Python
def test_of_a_damaged_video_ffmpeg_says_nothing(saved: ship.Saved, tmp_path: Path) -> None:
    cut_video(tmp_path / "v.avi")
    done = process("detect", tmp_path / "model", tmp_path / "v.avi", "--no-pictures", "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["refused"]) == 1
    lines = done.stderr.splitlines()
    assert "v.avi  64×48 pixels" in lines[0]
    assert lines[1].startswith("lensmith: ")
    assert len(lines) == 2


def test_help_needs_no_model() -> None:
    done = lensmith("detect", "--help")
    assert done.returncode == 0
    assert "COCO results" in done.stdout
