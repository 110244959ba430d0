"""What was found as documents: the ids that COCO's results have, and the sources they come from."""

import json
from pathlib import Path

import numpy as np
import pytest

from lensmith import check
from lensmith.detect.finding import Found
from lensmith.detect.results import COCO_IDS, Answer, category_ids, coco_results, image_ids, read_coco_ids
from lensmith.detect.sources import sources

# In the order of COCO's own annotations, with their ids: every tenth is enough to see an order that slipped.
SOME_OF_COCO = {1: "person", 11: "fire hydrant", 22: "elephant", 34: "frisbee", 44: "bottle", 53: "apple"}
SOME_OF_COCO |= {62: "chair", 67: "dining table", 77: "cell phone", 90: "toothbrush"}


def found(*rows: list[float]) -> Found:
    table = np.array(rows, np.float32).reshape(-1, 6)
    classes = table[:, 5].astype(np.int64)
    return Found((40, 80), table[:, :4], table[:, 4], classes, tuple(f"c{index}" for index in classes))


@pytest.mark.parametrize(
    ("files", "ids"),
    [
        (["val/000000000139.jpg", "val/000000000285.jpg"], [139, 285]),  # COCO 2017
        (["COCO_val2014_000000000042.jpg"], [42]),  # COCO 2014
        (["a/1.jpg", "b/1.jpg"], [1, 2]),  # two have the same number: positions
        (["1.jpg", "dog.jpg"], [1, 2]),  # one has none: positions
        (["7.png", "dog.jpg"], [1, 2]),
        (["clip.mp4", "clip.mp4"], [1, 2]),  # frames
        ([], []),
    ],
)
def test_image_ids(files: list[str], ids: list[int]) -> None:
    assert image_ids(files)[0] == ids


def test_the_80_classes_of_coco_have_its_own_ids(shared_data: Path) -> None:
    for names in ("darknet/data", "yolo_fastest/ModelZoo/yolo-fastest-1.1_coco"):
        lines = (shared_data / names / "coco.names").read_text().split("\n")
        ids, words = category_ids([line.strip() for line in lines if line.strip()])
        assert words == "COCO's own, 1 to 90"
        told = dict(zip(ids, lines, strict=False))
        assert all(told[number].replace(" ", "") == name.replace(" ", "") for number, name in SOME_OF_COCO.items())


def test_cocos_ids() -> None:
    assert len(COCO_IDS) == 80
    assert sorted(set(range(1, 91)) - set(COCO_IDS)) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]


def test_other_names_count_from_1() -> None:
    assert category_ids([str(index) for index in range(80)])[0] == list(range(1, 81))


def test_results() -> None:
    answers = [
        Answer("a.jpg", found([1, 2, 11, 22, 0.75, 1], [0, 0, 80, 40, 0.5, 0])),
        Answer("b.jpg", found()),
        Answer("c.jpg", found([3, 3, 4, 4, 0.25, 2])),
    ]
    assert coco_results(answers, [10, 20, 30], [5, 6, 0]) == [  # the third class has no id
        {"image_id": 10, "category_id": 6, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.75},
        {"image_id": 10, "category_id": 5, "bbox": [0.0, 0.0, 80.0, 40.0], "score": 0.5},
    ]


def test_ids_of_an_annotation_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    document = {
        "images": [{"file_name": "x/one.png", "id": 9}],
        "categories": [{"id": 3, "name": "Traffic Light"}, {"id": 4, "name": "tv"}],
    }
    path.write_text(json.dumps(document))
    known = read_coco_ids(path)
    assert image_ids(["here/one.png"], known)[0] == [9]
    assert category_ids(["tvmonitor", "dog", "traffic light"], known)[0] == [4, 0, 3]
    with pytest.raises(check.DataError, match="got 'oen.png'. Did you mean 'one.png'"):  # noqa: RUF043
        image_ids(["oen.png"], known)
    with pytest.raises(check.DataError, match="categories: expected names of the model's classes; got none"):
        category_ids(["dog", "cat"], known)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"images": [{"id": 1}], "categories": []}',
        '{"images": 3, "categories": []}',
        '{"images": [{}]}',
    ],
)
def test_what_is_no_annotation_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(check.DataError, match=r"a\.json: expected COCO's JSON, with images"):
        read_coco_ids(tmp_path / "a.json")


def test_a_frame_says_when_it_was() -> None:
    told = Answer("v.mp4", found(), frame=3, time=0.12).to_dict()
    assert told == {"file": "v.mp4", "frame": 3, "time": 0.12, "width": 80, "height": 40, "detections": []}


# --- sources -------------------------------------------------------------------------------------------------------


def test_sources(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "v.mov", "deep/v.avi", ".hidden/d.jpg", ".e.jpg", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    listed, refused = sources([tmp_path / "in", tmp_path / "in" / "b.jpg"])
    assert refused == []
    assert [(one.target.as_posix(), one.video) for one in listed] == [
        ("a.PNG", False),
        ("b.jpg", False),
        ("v.mp4", True),
        ("deep/v.mp4", True),
        ("deep/er/c.png", False),
        ("b-2.jpg", False),
    ]
    assert sources([tmp_path / "in" / "notes.txt"])[0][0].video is False, "a file is tried, whatever its name"
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "back").symlink_to(tmp_path / "loop")
    assert sources([tmp_path / "loop"])[0] == []
