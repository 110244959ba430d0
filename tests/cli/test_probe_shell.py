"""``lensmith probe`` as a user calls it: runs, saved models, files of a user's own, data sets, two models, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calling import document, lensmith
from PIL import Image

from lensmith import probe, ship
from lensmith.backend import keras
from lensmith.cli.probe import LOOKS
from lensmith.compose import Classify, Regress, zoo
from lensmith.compose.detection import YoloV2
from lensmith.compose.tasks import Task
from lensmith.data import Preprocessing
from lensmith.records import Labels

CLASSES = ("bright", "dark", "striped")


def saved(folder: Path, seed: int, names: tuple[str, ...] = CLASSES) -> Path:
    """A small model with two tasks, untrained."""
    tasks = {"look": Classify(len(names)), "size": Regress()}
    recipe = replace(zoo.get("compact"), input=(16, 16, 3), tasks=tasks)
    labels = {"look": Labels("class", names), "size": Labels("number", ("size",))}
    ship.save(folder, ship.Saved(recipe.build(seed=seed), recipe, labels, Preprocessing(image=(16, 16, 3))))
    return folder


def saved_finder(folder: Path, **more: Task) -> None:
    """A small detector, untrained, and tasks beside it."""
    recipe = replace(
        zoo.get("compact"),
        input=(16, 16, 3),
        tasks={"objects": YoloV2(2, anchors=((4, 4),), tap="P3", passthrough="P2", width=4), **more},
    )
    labels = {"objects": Labels("boxes", ("cat", "dog")), **{name: Labels("class", CLASSES) for name in more}}
    ship.save(folder, ship.Saved(recipe.build(seed=0), recipe, labels, Preprocessing(image=(16, 16, 3))))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and pictures of several kinds: colour, gray, with alpha, of other sizes; and a broken one."""
    folder = tmp_path_factory.mktemp("probe")
    saved(folder / "one", seed=0)
    saved(folder / "two", seed=5)
    saved_finder(folder / "finder")
    saved_finder(folder / "both", look=Classify(3))
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number, name in enumerate([*CLASSES, *CLASSES]):
        pixels = rng.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        (folder / "pictures" / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    Image.fromarray(rng.integers(0, 256, (18, 30), dtype=np.uint8)).save(folder / "gray.png")
    Image.fromarray(rng.integers(0, 256, (18, 30, 4), dtype=np.uint8)).save(folder / "alpha.png")
    (folder / "broken.png").write_bytes(b"no picture at all")
    layers = keras.layers
    own = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        name="own",
    )
    own.save(folder / "own.keras")
    return folder


def test_the_shell_knows_every_look() -> None:
    assert LOOKS == probe.LOOKS


@pytest.mark.parametrize("image", ["gray.png", "alpha.png", "pictures/dark/1.png"])
def test_all_that_is_written_is_named_and_can_be_read(place: Path, tmp_path: Path, image: str) -> None:
    found = document(lensmith("probe", place / "one", place / image, "--out", tmp_path / "out", "--json"))
    looks = {look["name"]: look for look in found["looks"]}
    assert list(looks) == [Path(image).stem, "one"]
    said = looks[Path(image).stem]
    assert sum(said["predictions"]["look"].values()) == pytest.approx(1, abs=1e-5)
    names = [figure["name"].partition("-look")[0] for figure in said["figures"]]
    assert {"grad-cam", "grad-cam-plus-plus", "occlusion", "gradients", "maps-P0", "times"} <= set(names)
    for look in found["looks"]:
        for figure in look["figures"]:
            with Image.open(figure["picture"]) as picture:
                assert picture.mode == "RGB"
            for array in figure["arrays"]:
                assert list(np.load(array["file"], allow_pickle=False).shape) == array["shape"]
    assert "<h1>one</h1>" in Path(found["page"]).read_text()
    assert found["report"] is None


def test_a_class_a_head_and_a_layer_are_chosen(place: Path, tmp_path: Path) -> None:
    words = ("probe", place / "one", place / "gray.png", "--out", tmp_path, "--show", "cam", "--json")
    [cam] = document(lensmith(*words, "--class", "striped", "--layer", "P1"))["looks"][0]["figures"]
    assert (cam["facts"]["target"], cam["facts"]["head"]) == ("striped", "look")
    [cam] = document(lensmith(*words, "--head", "size"))["looks"][0]["figures"]
    assert cam["facts"]["head"] == "size"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("finder", "gray.png"), {"maps", "pooling", "times", "kernels", "layers"}),  # no picture of why
        (("finder", "gray.png", "--show", "cam", "--show", "table"), {"layers"}),
        (("both", "gray.png", "--head", "objects", "--show", "cam", "--show", "times"), {"times"}),
    ],
)
def test_of_what_finds_objects_no_class_is_explained(
    place: Path, tmp_path: Path, words: tuple[str, ...], shown: set[str]
) -> None:
    found = document(lensmith("probe", *words, "--out", tmp_path, "--json", cwd=place))
    assert found["notes"] == ["objects: finds boxes; see lensmith detect"]
    names = {figure["name"].partition("-")[0] for look in found["looks"] for figure in look["figures"]}
    assert names == shown


@pytest.mark.parametrize(
    ("words", "explained"),
    [
        (
            ("both", "gray.png", "--show", "cam", "--show", "occlusion"),
            ["look", "look"],
        ),  # the task beside the detector
        (("finder", "--show", "table"), []),  # nothing was to be explained
    ],
)
def test_a_class_beside_what_finds_objects_is_explained(
    place: Path, tmp_path: Path, words: tuple[str, ...], explained: list[str]
) -> None:
    found = document(lensmith("probe", *words, "--out", tmp_path, "--json", cwd=place))
    assert found["notes"] == []
    facts = [figure["facts"] for look in found["looks"] for figure in look["figures"]]
    assert [fact["head"] for fact in facts if "head" in fact] == explained


def test_the_same_look_again_replaces_the_earlier_one(place: Path, tmp_path: Path) -> None:
    for shown in ("maps", "pooling"):
        document(lensmith("probe", place / "one", place / "gray.png", "-o", tmp_path, "--show", shown, "--json"))
    assert [path.stem.partition("-")[0] for path in (tmp_path / "gray").glob("*.png")] == ["pooling"]


def test_a_data_set_is_streamed_and_what_is_broken_is_set_aside(place: Path, tmp_path: Path) -> None:
    (place / "pictures" / "dark" / "broken.png").write_bytes(b"no picture")
    words = ("probe", place / "one", "--data", place / "pictures", place / "gray.png", "--out", tmp_path, "--json")
    found = document(lensmith(*words, "--show", "statistics", "--show", "embedding", "--show", "neighbours"))
    [look] = found["looks"]
    assert look["images"] == 6
    assert [Path(problem["source"]).name for problem in look["set_aside"]] == ["broken.png"]
    names = [figure["name"] for figure in look["figures"]]
    assert {"statistics", "embedding-pca", "embedding-tsne"} <= set(names)
    near = next(figure for figure in look["figures"] if figure["name"].startswith("neighbours"))
    assert len(near["facts"]["neighbours"]) == 6


def test_a_unit_is_maximised_and_the_images_it_answers_to_are_found(place: Path, tmp_path: Path) -> None:
    words = ("probe", place / "one", place / "pictures", "--layer", "P1", "--unit", 3, "--out", tmp_path, "--json")
    found = document(lensmith(*words, "--show", "examples", "--show", "maximise"))
    model, data = found["looks"]
    assert [one["unit"] for one in model["figures"][0]["facts"]["units"]] == [3]
    assert data["figures"][0]["facts"]["unit"] == 3


def test_a_keras_file_of_a_users_own(place: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\nfox\n")
    words = ("probe", place / "own.keras", place / "gray.png", "--out", tmp_path / "out", "--json")
    done = lensmith(*words, "--labels", tmp_path / "names.txt", "--layer", "first", "--show", "layer", "--show", "cam")
    found = document(done)
    assert found["notes"] == ["own.keras: pixels enter as 0..255, for the model scales them itself"]
    look = found["looks"][0]
    assert set(look["predictions"]["label"]) == {"cat", "dog", "fox"}
    assert [figure["name"].partition("-label")[0] for figure in look["figures"]] == [
        "grad-cam",
        "before-and-after-first",
    ]


def test_two_models_are_compared(place: Path, tmp_path: Path) -> None:
    words = ("probe", "--compare", place / "one", place / "two", place / "pictures", "--out", tmp_path, "--json")
    found = document(lensmith(*words))
    assert (found["first"], found["second"], found["examples"]) == ("one", "two", 6)
    [task] = found["classes"]
    assert 0 <= task["agreement"] <= 1
    assert found["looks"][0]["figures"]
    assert Path(found["page"]).is_file()


BAD = [
    # a tap that does not exist, with the nearest
    (("one", "gray.png", "--layer", "P22"), 2, "Did you mean 'P2'?"),
    # a class that does not exist, with the nearest
    (("one", "gray.png", "--class", "stripes"), 2, "Did you mean 'striped'?"),
    # a head that does not exist
    (("one", "gray.png", "--head", "looks"), 2, "Did you mean 'look'?"),
    # a look that does not exist
    (("one", "gray.png", "--show", "cams"), 2, "Did you mean 'cam'?"),
    # a class of what finds objects is not explained
    (("finder", "gray.png", "--show", "cam", "--show", "gradients"), 2, "objects: expected a task whose classes"),
    (("finder", "--show", "maximise"), 2, "See lensmith detect"),
    # a unit beyond the last
    (("one", "pictures", "--layer", "P1", "--unit", "9999", "--show", "examples"), 2, "9999"),
    # a unit of no layer
    (("one", "gray.png", "--unit", "3"), 2, "--layer NAME"),
    # no picture
    (("one", "broken.png"), 1, "broken.png"),
    # no such file
    (("one", "absent.png"), 1, "absent.png"),
    # no model
    (("absent", "gray.png"), 2, "absent"),
    # a data set's looks without one
    (("one", "gray.png", "--show", "statistics"), 2, "--data DATA"),
    # two models are needed
    (("one", "--compare"), 2, "two models"),
    # nothing to compare them on
    (("one", "two", "--compare"), 2, "lensmith probe --compare MODEL OTHER DATA"),
    # names of another number
    (("own.keras", "gray.png", "--labels", "broken.png"), 2, "3 names of label"),
    # a setting of files alone
    (("one", "gray.png", "--scaling", "none"), 2, ".keras"),
]


@pytest.mark.parametrize(("words", "status", "says"), BAD)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    place: Path, tmp_path: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    given = [str(place / word) if (place / word).exists() else word for word in words]
    done = lensmith("probe", *given, "--out", tmp_path / "out", cwd=place)
    assert done.returncode == status
    refusal = [line for line in done.stderr.splitlines() if line.startswith("lensmith: ")]
    assert len(refusal) == 1
    assert says in refusal[0]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_folder_that_holds_something_else_is_left_alone(place: Path, tmp_path: Path) -> None:
    (tmp_path / "gray").mkdir()
    (tmp_path / "gray" / "letter.txt").write_text("dear reader")
    done = lensmith("probe", place / "one", place / "gray.png", "--out", tmp_path, "--show", "maps")
    assert (done.returncode, "letter.txt" in done.stderr) == (2, True)
    assert (tmp_path / "gray" / "letter.txt").read_text() == "dear reader"


def test_looks_of_a_run_stand_in_its_report(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        json.dumps(
            {
                "data": {
                    "source": "bundled:digits",
                    "batch": 256,
                    "split": {"train": 0.2, "validation": 0.4, "test": 0.4},
                },
                "model": {"learner": "compact"},
                "train": [{"stage": "fit", "epochs": 1}],
                "ship": None,
            }
        )
    )
    run = tmp_path / "run"
    document(lensmith("train", spec, "--run", run, "--json"))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "blank.png")
    found = document(lensmith("probe", run, tmp_path / "blank.png", "--show", "cam", "--show", "maps", "--json"))
    assert Path(found["out"]) == run / "probe"
    page = Path(found["report"]).read_text()
    assert "Looking inside" in page
    assert "blank.png" in page
    again = document(lensmith("report", run, "--json"))  # it is still there when the report is written anew
    assert "blank.png" in Path(again["report"]).read_text()
    same = document(lensmith("probe", "--compare", run, run, "--out", tmp_path / "same", "--json"))
    assert same["classes"][0]["agreement"] == 1  # on the run's own test part
