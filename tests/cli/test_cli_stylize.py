"""``lensmith stylize`` as a user calls it: pictures, documents, refusals, stopping and going on."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calling import document, lensmith, process
from PIL import Image, ImageDraw

from lensmith import ship
from lensmith.cli import painting_progress
from lensmith.cli.painting_progress import PaintingProgress
from lensmith.compose import Basic, Classify, ConvStem, Group, Groups, Recipe
from lensmith.data import Preprocessing
from lensmith.records import Labels
from lensmith.stylize import state
from lensmith.stylize.optimizers import Evaluated

RECIPE = Recipe(
    input=(16, 16, 3),
    stem=ConvStem(6, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=6, stride=1), Group(Basic(), filters=8)),
    tasks={"label": Classify(2)},
)
WIDTH, HEIGHT = 32, 24
FILES = {"photo.png", "gray.png", "alpha.png", "style.jpg", "more.png", "disc.png", "rest.png", "model"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, styles, masks and a saved model."""
    folder, rng = tmp_path_factory.mktemp("stylize"), np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((WIDTH, HEIGHT))
    photo.save(folder / "photo.png")
    photo.convert("L").save(folder / "gray.png")
    photo.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / "style.jpg")
    Image.fromarray(np.full((5, 9, 3), (200, 30, 10), np.uint8)).save(folder / "more.png")
    mask = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(mask).ellipse((8, 4, 24, 20), fill=255)
    mask.save(folder / "disc.png")
    Image.fromarray(255 - np.asarray(mask)).save(folder / "rest.png")
    labels = {"label": Labels("class", ("a", "b"))}
    ship.save(folder / "model", ship.Saved(RECIPE.build(), RECIPE, labels, Preprocessing(image=RECIPE.input)))
    return folder


@pytest.fixture
def place(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "place"))


MODEL = ("--model", "model", "--size", WIDTH, "--steps", 4)
USUAL = ("photo.png", "style.jpg", "-o", "out.png", *MODEL)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def made(place: Path) -> set[str]:
    """What stands in the folder that was not there before."""
    return {path.name for path in place.iterdir()} - FILES


def test_a_painting_and_its_document(place: Path) -> None:
    told = document(lensmith("stylize", *USUAL, "--json", cwd=place))
    assert {"first_loss", "last_loss", "seconds", "steps_per_second"} <= told.keys()
    assert told["last_loss"] < told["first_loss"]
    assert told["seconds"] >= 4 / told["steps_per_second"] > 0
    assert (told["out"], told["height"], told["width"], told["steps"]) == ("out.png", HEIGHT, WIDTH, 4)
    assert (told["pictures"], told["replaced"], told["ended"], told["state"]) == (["out.png"], [], "done", None)
    assert pixels(place / "out.png").shape == (HEIGHT, WIDTH, 3)
    assert made(place) == {"out.png"}


def test_for_people(place: Path) -> None:
    done = lensmith("stylize", *USUAL, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "out.png  32×24 pixels, 4 steps" in done.stdout
    assert "step 0/4  32×24  loss " in done.stderr
    assert "step 4/4  32×24  loss " in done.stderr


# Each row: the content and the style, gray or with alpha.
INPUTS = [("gray.png", "style.jpg"), ("alpha.png", "gray.png"), ("photo.png", "alpha.png")]


@pytest.mark.parametrize(("content", "style"), INPUTS)
def test_gray_and_alpha(place: Path, content: str, style: str) -> None:
    told = document(lensmith("stylize", content, style, "-o", "out.png", *MODEL, "--json", cwd=place))
    assert (told["height"], told["width"]) == (HEIGHT, WIDTH)


def test_a_silhouette_is_white_outside(place: Path) -> None:
    outside = pixels(place / "disc.png") == 0
    document(lensmith("stylize", *USUAL, "--mask", "disc.png", "--json", cwd=place))
    assert (pixels(place / "out.png")[outside] == 255).all()
    assert (pixels(place / "out.png")[~outside] < 255).any()
    first = pixels(place / "out.png")
    document(lensmith("stylize", *USUAL, "--mask", "rest.png", "--invert", "--json", cwd=place))
    assert np.array_equal(pixels(place / "out.png"), first), "the other mask, inverted, is the same"


# Each row: words, and whether the content's own pixels are those outside of the disc.
WHERE = [(("--where", "inside"), True), (("--where", "outside"), False), (("--where", "inside", "--invert"), False)]


@pytest.mark.parametrize(("words", "outside"), WHERE)
def test_elsewhere_the_content_stays(place: Path, words: tuple[str, ...], outside: bool) -> None:
    kept = (pixels(place / "disc.png") == 0) == outside
    document(lensmith("stylize", *USUAL, "--mask", "disc.png", *words, "--json", cwd=place))
    assert np.array_equal(pixels(place / "out.png")[kept], pixels(place / "photo.png")[kept])
    assert not np.array_equal(pixels(place / "out.png")[~kept], pixels(place / "photo.png")[~kept])


def test_all_that_may_be_said(place: Path) -> None:
    words = ("--region", "disc.png", "--region", "rest.png", "--blend", 2, "--blend", 1, "--levels", 1, "--every", 3)
    words += ("--keep-colours", "--start", "noise", "--seed", 3, "--rate", 0.05, "--optimizer", "adam", "--tile", 512)
    words += ("--content-layer", "P1", "--style-layer", "P0=2", "--style-layer", "P1", "--variation-weight", 1)
    words += ("--content-weight", 2, "--style-weight", 5, "--json")
    told = document(
        lensmith("stylize", "photo.png", "style.jpg", "more.png", "-o", "a/out.jpg", *MODEL, *words, cwd=place)
    )
    assert told["pictures"] == ["a/out-000003.jpg", "a/out.jpg"]
    assert {path.name for path in (place / "a").iterdir()} == {"out-000003.jpg", "out.jpg"}
    assert (place / "a/out.jpg").read_bytes()[:3] == b"\xff\xd8\xff", "a JPEG file"


def test_a_picture_between_two_sizes_is_written_once(place: Path) -> None:
    """After step 2 the smaller level ends and the larger begins."""
    told = document(lensmith("stylize", *USUAL, "--size", 64, "--levels", 2, "--every", 2, "--json", cwd=place))
    assert told["pictures"] == ["out-000002.png", "out-000004.png", "out.png"]
    assert pixels(place / "out-000002.png").shape == pixels(place / "out.png").shape == (48, 64, 3)


def test_a_picture_on_the_way_is_not_written_over_what_is_read(place: Path) -> None:
    (place / "photo.png").rename(place / "out-000004.png")
    words = ("out-000004.png", "style.jpg", "-o", "out.png", *MODEL)
    done = lensmith("stylize", *words, "--every", 2, cwd=place)
    assert done.returncode == 2
    assert "--every: expected another file than CONTENT; got out-000004.png" in done.stderr
    document(lensmith("stylize", *words, "--every", 3, "--json", cwd=place))  # 000003 alone is written


def test_an_image_to_begin_with_and_the_other_optimiser(place: Path) -> None:
    words = ("--start", "more.png", "--optimizer", "lbfgs", "--json")
    told = document(lensmith("stylize", *USUAL, *words, cwd=place))
    assert told["last_loss"] < told["first_loss"]


def test_the_preview_is_the_painting_so_far(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting_progress, "_PREVIEW", 0.0)
    monkeypatch.setattr(painting_progress, "_SHARE", 0)
    seen: list[bytes] = []
    ask = PaintingProgress.__call__

    def look(watch: Any, moment: Any) -> None:
        ask(watch, moment)
        seen.append((place / "out.png").read_bytes())

    monkeypatch.setattr(PaintingProgress, "__call__", look)
    document(lensmith("stylize", *USUAL, "--json", cwd=place))
    assert len(set(seen)) == 5, "of each step, and none of them half a picture"
    assert seen[-1] == (place / "out.png").read_bytes()
    assert made(place) == {"out.png"}


# --- what is refused -----------------------------------------------------------------------------------------------

GRAY, SMALL, BLACK = "gray-mask.png", "small-mask.png", "black-mask.png"

# Each row: the words, the exit status, and what the one line says.
REFUSED: list[tuple[tuple[object, ...], int, str]] = [
    (("none.png", "style.jpg", "-o", "out.png", *MODEL), 1, "none.png: the file is missing"),
    (("photo.png", "none.jpg", "-o", "out.png", *MODEL), 1, "none.jpg: the file is missing"),
    (("photo.png", "model", "-o", "out.png", *MODEL), 1, "model: this is a folder, not an image"),
    (("model/recipe.yaml", "style.jpg", "-o", "out.png", *MODEL), 1, "not an image"),
    (("photo.png", "style.jpg", "-o", "photo.png", *MODEL), 2, "--out: expected another file than CONTENT"),
    (("photo.png", "style.jpg", "-o", "./style.jpg", *MODEL), 2, "another file than STYLE style.jpg"),
    (("photo.png", "style.jpg", "-o", "out.gif", *MODEL), 2, "--out: expected a name that ends in .png, .jpg, .jpeg"),
    (("photo.png", "style.jpg", "-o", "photo.png/out.png", *MODEL), 1, "could not write photo.png/out.png"),
    (("photo.png", "style.jpg", "-o", "/proc/out.png", *MODEL), 1, "could not write /proc/out.png"),
    (
        (*USUAL, "--start", "nosie"),
        2,
        "--start: expected content, noise or a picture; got 'nosie'. Did you mean 'noise'?",
    ),
    (
        (*USUAL, "--style-layer", "P1", "--style-layer", "P1=2"),
        2,
        "--style-layer: expected each layer once; got P1 twice",
    ),
    ((*USUAL, "--weights", "w.npz", "--random-weights"), 2, "--random-weights: expected no --weights beside it"),
    ((*USUAL, "--style-layer", "P9"), 2, "Did you mean 'P"),
    ((*USUAL, "--style-layer", "P1=much"), 2, "--style-layer: expected NAME or NAME=WEIGHT; got 'P1=much'"),
    ((*USUAL, "--style-layer", "P1=-1"), 2, "style_layers.P1: expected a number from 0"),
    ((*USUAL, "--model", "vgg91"), 2, "Did you mean 'vgg19'?"),
    ((*USUAL, "--mask", "none.png"), 1, "none.png: the file is missing"),
    ((*USUAL, "--mask", SMALL), 1, "small-mask.png: expected the content's size, 32×24 pixels; got 16×12 pixels"),
    ((*USUAL, "--mask", GRAY), 1, "expected a mask that is black and white"),
    ((*USUAL, "--mask", BLACK), 1, "got one that is all black"),
    ((*USUAL, "--region", SMALL), 1, "got 16×12 pixels"),
    ((*USUAL, "--region", "disc.png", "--region", "rest.png"), 2, "region: expected one for each style, so one; got 2"),
    ((*USUAL, "--blend", 1, "--blend", 1), 2, "blend: expected one for each style, so one; got 2"),
    ((*USUAL, "--where", "inside"), 2, "--where: expected a --mask beside it; got none"),
    ((*USUAL, "--invert"), 2, "--invert: expected a --mask beside it; got none"),
    ((*USUAL, "--resume"), 2, "--resume: expected an unfinished painting, out.png.state.safetensors; got none there"),
    ((*USUAL, "--levels", 3), 2, "levels: expected levels of 32 pixels or more"),
    ((*USUAL, "--style-weight", -1), 2, "style_weight: expected a number from 0"),
    ((*USUAL, "--start", "none.png"), 1, "none.png: the file is missing"),
    ((*USUAL, "--weights", "imagenet"), 2, "--weights: expected none beside a --model that has its own"),
]


@pytest.mark.parametrize(("words", "status", "says"), REFUSED, ids=[row[2][:40] for row in REFUSED])
def test_refused_in_one_line_and_nothing_is_left(
    place: Path, words: tuple[object, ...], status: int, says: str
) -> None:
    masks = place.parent / "masks"
    masks.mkdir()
    Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (HEIGHT, 1))).save(masks / GRAY)
    Image.fromarray(pixels(place / "disc.png")).resize((16, 12)).save(masks / SMALL)
    Image.new("L", (WIDTH, HEIGHT)).save(masks / BLACK)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    done = lensmith("stylize", *(masks / str(one) if one in (GRAY, SMALL, BLACK) else one for one in words), cwd=place)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert done.stderr.startswith("lensmith: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert made(place) == set()
    assert {path: path.read_bytes() for path in before} == before


def test_an_image_too_small_for_the_layers(place: Path) -> None:
    words = ("--model", "vgg19", "--random-weights", "--size", 8, "--steps", 1)
    done = lensmith("stylize", "photo.png", "style.jpg", "-o", "out.png", *words, cwd=place)
    assert done.returncode == 2
    assert "size: expected images of at least" in done.stderr.splitlines()[-1]
    assert made(place) == set()


def test_random_weights_only_when_asked_for(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(place.parent / "nothing-cached"))
    done = lensmith("stylize", "photo.png", "style.jpg", "-o", "out.png", "--size", 32, "--steps", 1, cwd=place)
    assert done.returncode == 2
    assert "expected trained weights of vgg19; got none" in done.stderr
    assert made(place) == set()


# --- no numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("healthy", [0, 3])
def test_no_number_ends_with_the_last_good_picture(place: Path, monkeypatch: pytest.MonkeyPatch, healthy: int) -> None:
    """A loss that becomes no number: from the first picture on, or after some steps."""
    from lensmith.stylize import objective, task

    usual: Callable[..., Any] = objective.objective
    count = 0

    def breaking(*words: Any, **settings: Any) -> Any:
        made = usual(*words, **settings)

        def evaluate(picture: Any) -> Evaluated:
            nonlocal count
            count += 1
            found = made.evaluate(picture)
            lost = found.loss * float("nan") if count > healthy else found.loss
            return objective.Evaluated(lost, found.terms, found.gradient)

        return type("Broken", (), {"evaluate": staticmethod(evaluate)})()

    monkeypatch.setattr(task, "objective", breaking)
    done = lensmith("stylize", *USUAL, "--json", cwd=place)
    assert done.returncode == 1
    if not healthy:
        assert "lensmith: the loss of the first picture is no number" in done.stderr
        assert made(place) == set()
        return
    assert "lensmith: the loss became no number after 2 steps" in done.stderr.splitlines()[-1]
    told = json.loads(done.stdout)
    assert (told["ended"], told["steps"]) == ("not finite", 2)
    assert pixels(place / "out.png").shape == (HEIGHT, WIDTH, 3)
    assert made(place) == {"out.png"}


# --- stopped and gone on -------------------------------------------------------------------------------------------


def test_stopped_and_gone_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: the picture so far, the state, and how to go on; then to the same bits."""
    document(lensmith("stylize", *USUAL, "--json", cwd=place))
    expected = (place / "out.png").read_bytes()
    ask, patched = PaintingProgress.__call__, pytest.MonkeyPatch()

    def interrupting(watch: Any, moment: Any) -> None:
        ask(watch, moment)
        if moment.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    patched.setattr(PaintingProgress, "__call__", interrupting)
    done = lensmith("stylize", *USUAL, "--json", cwd=place)
    patched.undo()
    assert done.returncode == 1
    assert "lensmith: stopped after 2 of 4 steps: out.png is what was painted so far" in done.stderr
    assert "--resume" in done.stderr.splitlines()[-1]
    assert json.loads(done.stdout)["state"] == "out.png.state.safetensors"
    assert made(place) == {"out.png", "out.png.state.safetensors"}
    other = lensmith("stylize", *USUAL, "--resume", "--rate", 0.5, cwd=place)
    assert other.returncode == 2
    assert "--resume: rate: expected" in other.stderr
    told = document(lensmith("stylize", *USUAL, "--resume", "--json", cwd=place))
    assert (told["steps"], told["ended"]) == (4, "done")
    assert (place / "out.png").read_bytes() == expected
    assert made(place) == {"out.png"}


def test_a_damaged_state(place: Path) -> None:
    (place / "out.png.state.safetensors").write_bytes(b"x" * 50)
    done = lensmith("stylize", *USUAL, "--resume", cwd=place)
    assert done.returncode == 1
    assert "out.png.state.safetensors: expected an unfinished painting; got damaged. Delete it" in done.stderr
    anew = lensmith("stylize", *USUAL, cwd=place)
    assert anew.returncode == 0
    assert "Begun anew: out.png.state.safetensors is of an unfinished painting" in anew.stderr


@pytest.mark.slow
@pytest.mark.parametrize("plan", [("--levels", 2, "--size", 64), ("--optimizer", "lbfgs", "--start", "noise")])
def test_killed_at_any_step_and_gone_on_is_equal_to_never_stopped(place: Path, plan: tuple[object, ...]) -> None:
    """Two kills at moments drawn by chance, whatever the painting is doing then."""
    words = [str(word) for word in ("photo.png", "style.jpg", *MODEL, *plan, "--steps", 80, "--save-every", 5)]
    command = [sys.executable, "-m", "lensmith", "stylize", *words]
    subprocess.run([*command, "-o", "whole.png"], cwd=place, check=True, timeout=300, capture_output=True)
    kept, chance, resume, killed = state.path_for(place / "broken.png"), random.Random(1), False, 0
    for _ in range(2):
        more = ["-o", "broken.png", *(["--resume"] if resume else [])]
        before = kept.stat().st_mtime_ns if kept.is_file() else 0
        running = subprocess.Popen([*command, *more], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and running.poll() is None:
            if kept.is_file() and kept.stat().st_mtime_ns != before:
                time.sleep(chance.uniform(0, 0.2))
                break
            time.sleep(0.002)
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        killed += running.returncode == -signal.SIGKILL
        resume = kept.is_file()
    assert killed, "it ended before it could be killed"
    if resume:
        subprocess.run([*command, "-o", "broken.png", "--resume"], cwd=place, check=True, timeout=300)
    assert (place / "broken.png").read_bytes() == (place / "whole.png").read_bytes()


# --- with trained weights ------------------------------------------------------------------------------------------


def test_with_vgg_what_is_replaced_is_said(place: Path, shared_data: Path) -> None:
    weights = shared_data / "vgg19_to_relu3_1" / "vgg_normalised_conv3_1.npz"
    words = ("--weights", weights, "--size", 48, "--steps", 3, "--json")
    done = lensmith("stylize", "photo.png", "style.jpg", "-o", "out.png", *words, cwd=place)
    told = document(done)
    assert {"asked": "block5_conv2", "used": "block3_conv1"} in told["replaced"]
    assert "block5_conv2 has no weights: block3_conv1 stands in for it" in done.stderr
    assert told["last_loss"] < told["first_loss"]


@pytest.mark.slow
def test_as_a_process(place: Path) -> None:
    done = process("stylize", place / "photo.png", place / "style.jpg", "-o", place / "out.png", "--model",
                   place / "model", "--size", WIDTH, "--steps", 4, "--json")  # fmt: skip
    assert document(done)["steps"] == 4
