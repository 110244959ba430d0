"""Painting: sizes, levels, starts, masks and colours, resuming, and its ends, with a hand-made loss and with a network.

The hand-made loss is a bowl: the mean square of the pixels' distance from a mix of content and styles, so that where a
painting comes to is known on paper.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.data import Preprocessing
from lensmith.stylize import course, optimizers, pictures, task
from lensmith.stylize.masks import read as read_mask
from lensmith.stylize.network import open_network
from lensmith.stylize.painting import Painting, paint
from lensmith.stylize.settings import Settings

rng = np.random.default_rng(0)
CONTENT = rng.integers(0, 256, (12, 16, 3), np.uint8)
STYLE = np.full((20, 10, 3), (255, 0, 51), np.uint8)  # one colour: 1, 0, 0.2
SMALL = Settings(size=16, steps=6, rate=0.1)


@dataclass(frozen=True)
class Named:
    """Stands in for a network that nobody asks for anything but who it is."""

    name: str = "bowl"
    model: Any = field(default_factory=lambda: type("Model", (), {"weights": ()})())
    replaced: tuple[tuple[str, str], ...] = (("block5_conv1", "block3_conv1"),)


@dataclass
class Found:
    loss: Any
    terms: Mapping[str, Any]
    gradient: Any


@dataclass
class Bowls:
    """Makes the objective, and notes what it was asked for; ``breaks`` says at which evaluation there is no number."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    evaluated: int = 0
    breaks: range = range(0)

    def __call__(
        self,
        network: Any,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        settings: Settings,
        *,
        blend: Sequence[float] = (),
        regions: Sequence[np.ndarray] = (),
    ) -> Any:
        self.asked.append({"content": content, "styles": styles, "blend": blend, "regions": regions})
        shares = np.array(blend or [1.0] * len(styles)) / (sum(blend) or len(styles))
        mean = sum(share * style.mean((0, 1)) for share, style in zip(shares, styles, strict=True))
        goal = keras.ops.convert_to_tensor(np.broadcast_to(mean, content.shape).astype(np.float32)[None])

        def evaluate(pixels: Any) -> Found:
            self.evaluated += 1
            away = keras.ops.convert_to_tensor(pixels) - goal
            loss = keras.ops.mean(away * away)
            if self.evaluated in self.breaks:
                loss = loss * math.nan
            return Found(loss, {"style": loss}, 2 * away / content.size)

        return type("Objective", (), {"evaluate": staticmethod(evaluate)})()


@pytest.fixture
def bowls(monkeypatch: pytest.MonkeyPatch) -> Bowls:
    made = Bowls()
    monkeypatch.setattr(task, "objective", made)
    return made


def painted(settings: Settings = SMALL, **given: Any) -> Painting:
    network: Any = Named()
    return paint(given.pop("content", CONTENT), given.pop("styles", [STYLE]), network, settings, **given)


# --- where it comes to ---------------------------------------------------------------------------------------------


def test_it_comes_to_the_goal(bowls: Bowls) -> None:
    found = painted(Settings(size=16, steps=150, rate=0.05))
    assert np.abs(found.image.astype(int) - (255, 0, 51)).max() <= 1
    assert (found.image.dtype, found.image.shape) == (np.uint8, (12, 16, 3))
    assert found.last_loss < 1e-4 < found.first_loss
    assert (found.steps, len(found.losses), found.ended) == (150, 151, "done")
    assert found.replaced == (("block5_conv1", "block3_conv1"),)
    assert found.steps_per_second > 0
    assert found.seconds > 150 / found.steps_per_second


def test_losses_are_of_the_first_picture_and_of_the_result(bowls: Bowls) -> None:
    """By hand: the mean square distance of the content from (1, 0, 0.2), and of the one step of 0.1 towards it."""
    found = painted(Settings(size=16, steps=1, rate=0.1))
    start, goal = CONTENT / 255, np.array([1, 0, 0.2])
    moved = np.clip(start + 0.1 * np.sign(goal - start), 0, 1)
    assert found.first_loss == pytest.approx(((start - goal) ** 2).mean(), rel=1e-5)
    assert found.last_loss == pytest.approx(((moved - goal) ** 2).mean(), rel=1e-3)  # some may be there already


def test_one_step_is_one_evaluation_and_the_result_another(bowls: Bowls) -> None:
    painted()
    assert bowls.evaluated == 6 + 1


def test_blends_are_handed_on(bowls: Bowls) -> None:
    styles = [np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)]
    found = painted(Settings(size=16, steps=150, rate=0.05), styles=styles, blend=[3, 1])
    assert np.abs(found.image.astype(int) - 50).max() <= 1


# --- sizes and starts ----------------------------------------------------------------------------------------------


# Each row: the content's height and width, size, levels, and the sizes of the content at each level.
SIZES = [
    ((12, 16), 16, 1, [(12, 16)]),
    ((12, 16), 64, 2, [(24, 32), (48, 64)]),  # enlarged
    ((300, 100), 128, 3, [(32, 11), (64, 21), (128, 43)]),
    ((1, 200), 32, 1, [(1, 32)]),
    ((30, 40), 256, None, [(192, 256)]),
    ((10, 40), 512, None, [(128, 512)]),
    ((10, 40), 1024, None, [(128, 512), (256, 1024)]),
    ((2, 40), 1024, None, [(51, 1024)]),  # 26 pixels would be little
    ((1, 40), 1024, None, [(26, 1024)]),
]


@pytest.mark.parametrize(("shape", "size", "levels", "expected"), SIZES)
def test_sizes(
    bowls: Bowls, shape: tuple[int, int], size: int, levels: int | None, expected: list[tuple[int, int]]
) -> None:
    content = rng.integers(0, 256, (*shape, 3), np.uint8)
    found = painted(Settings(size=size, steps=7, levels=levels), content=content)
    assert [asked["content"].shape[:2] for asked in bowls.asked] == expected
    assert [max(asked["styles"][0].shape) for asked in bowls.asked] == [max(each) for each in expected]
    assert found.image.shape == (*expected[-1], 3)
    assert (found.steps, len(found.losses)) == (7, 7 + len(expected))


def test_a_level_begins_with_the_enlarged_result_of_the_smaller(bowls: Bowls) -> None:
    """Seen by the loss: the bowl's is lower at the second level's beginning than at the first's."""
    found = painted(Settings(size=64, steps=40, levels=2, rate=0.02))
    assert found.losses[21] < 1.5 * found.losses[20] < found.losses[0]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_fewer_steps_than_levels(bowls: Bowls, optimizer: Any) -> None:
    found = painted(Settings(size=128, steps=2, levels=3, optimizer=optimizer))
    assert (found.steps, len(found.losses), found.image.shape) == (2, 5, (96, 128, 3))


def test_noise_depends_on_the_seed_and_on_nothing_else(bowls: Bowls) -> None:
    first, again, other = (painted(Settings(size=16, steps=1, start="noise", seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    other_content = painted(Settings(size=16, steps=1, start="noise", seed=1), content=CONTENT[::-1])
    assert np.array_equal(first.image, other_content.image), "the bowl does not look at the content"


def test_an_image_to_begin_with(bowls: Bowls) -> None:
    """One step of 0.01 away from it, which is of another size."""
    start = np.full((30, 30, 3), 100, np.uint8)
    found = painted(Settings(size=16, steps=1, rate=0.01), start=start)
    assert set(np.unique(found.image)) == {97, 103}


@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 1), (12, 16, 4)])
def test_gray_and_alpha(bowls: Bowls, shape: tuple[int, ...]) -> None:
    found = painted(content=rng.integers(0, 256, shape, np.uint8), styles=[rng.integers(0, 256, shape, np.uint8)])
    assert found.image.shape == (12, 16, 3)


# --- masks and colours ---------------------------------------------------------------------------------------------

HALF = read_mask(np.repeat(np.array([[255] * 8 + [0] * 8], np.uint8), 12, axis=0), (12, 16))


def test_a_silhouette_is_white_outside(bowls: Bowls) -> None:
    found, whole = painted(mask=HALF), painted()
    assert (found.image[:, 8:] == 255).all()
    assert np.array_equal(found.image[:, :8], whole.image[:, :8])
    assert np.array_equal(bowls.asked[0]["regions"], [HALF]), "the style has to fit inside only"
    assert found.last_loss == whole.last_loss, "as before the mask is laid on it"


def test_outside_the_contents_own_pixels_stay(bowls: Bowls) -> None:
    found = painted(mask=1 - HALF, elsewhere="content")
    assert np.array_equal(found.image[:, :8], CONTENT[:, :8])
    assert not np.array_equal(found.image[:, 8:], CONTENT[:, 8:])


def test_masks_follow_the_size_of_the_level(bowls: Bowls) -> None:
    found = painted(Settings(size=64, steps=4, levels=2), mask=HALF)
    assert [asked["regions"][0].shape for asked in bowls.asked] == [(24, 32), (48, 64)]
    assert (found.image[:, 34:] == 255).all()  # two pixels of the cubic edge left alone


def test_regions_are_cut_by_the_mask(bowls: Bowls) -> None:
    top = np.zeros((12, 16), np.float32)
    top[:6] = 1
    painted(styles=[STYLE, STYLE], regions=[top, 1 - top], mask=HALF)
    first, second = bowls.asked[0]["regions"]
    assert np.array_equal(first, top * HALF)
    assert np.array_equal(second, (1 - top) * HALF)


def test_keep_colours_looks_at_gray_and_gives_the_contents_colours_back(bowls: Bowls) -> None:
    found = painted(Settings(size=16, steps=3, keep_colours=True), styles=[CONTENT[::-1]])
    for image in (bowls.asked[0]["content"], bowls.asked[0]["styles"][0]):
        assert np.abs(image[..., 0] - image[..., 2]).max() == 0
    gray = np.repeat(CONTENT[..., :1], 3, axis=2)
    found = painted(Settings(size=16, steps=3, keep_colours=True), content=gray)
    assert np.ptp(found.image, axis=2).max() == 0, "gray stays gray, to the last pixel"


# --- stopping and going on -----------------------------------------------------------------------------------------


class Stop:
    """Asks to stop after a number of steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


# Each row: settings of a painting in which each step counts.
PLANS = [
    {},
    {"levels": 2, "size": 64},
    {"optimizer": "lbfgs"},
    {"optimizer": "lbfgs", "levels": 2, "size": 64},
    {"start": "noise", "keep_colours": True},
]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("seed", [1, 2])
def test_resumed_is_equal_to_never_stopped(
    bowls: Bowls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: dict[str, Any], seed: int
) -> None:
    """Stopped twice, at steps drawn by chance."""
    monkeypatch.setattr(optimizers, "ROUND", 4)
    settings, chance = Settings(**({"size": 16, "steps": 21, "rate": 0.03} | plan)), random.Random(seed)
    whole = painted(settings)
    kept = tmp_path / "s"
    first = painted(settings, state=kept, stop=Stop(chance.randrange(0, 10)))
    assert (first.ended, kept.is_file()) == ("stopped", True)
    second = painted(settings, state=kept, resume=True, stop=Stop(chance.randrange(1, 8)))
    assert second.ended == "stopped"
    third = painted(settings, state=kept, resume=True)
    assert third.ended == whole.ended
    assert np.array_equal(third.image, whole.image)
    assert third.losses == whole.losses
    assert third.steps == whole.steps
    assert not kept.exists(), "what is done need not be gone on with"


def test_the_state_is_written_on_the_way(bowls: Bowls, tmp_path: Path) -> None:
    """As after a kill: what stands there at some step leads to the same result."""
    kept, copies = tmp_path / "s", []

    def look(moment: Any) -> None:
        copies.append(kept.read_bytes() if kept.is_file() else b"")

    whole = painted(Settings(size=16, steps=9), state=kept, save_every=4, progress=look)
    assert [copies.index(one) for one in dict.fromkeys(copies)] == [0, 5, 9], "written after steps 4 and 8"
    for copy in dict.fromkeys(copies[5:]):
        kept.write_bytes(copy)
        assert np.array_equal(painted(Settings(size=16, steps=9), state=kept, resume=True).image, whole.image)


def test_the_state_is_written_by_the_clock(bowls: Bowls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(course, "SAVE_SECONDS", 0.0)
    seen: list[bool] = []
    painted(state=tmp_path / "s", progress=lambda _: seen.append((tmp_path / "s").exists()))
    assert seen == [False, False, True, True, True, True, True]


def test_more_steps_may_be_asked_for(bowls: Bowls, tmp_path: Path) -> None:
    painted(Settings(size=16, steps=6), state=tmp_path / "s", stop=Stop(4))
    found = painted(Settings(size=16, steps=9), state=tmp_path / "s", resume=True)
    assert np.array_equal(found.image, painted(Settings(size=16, steps=9)).image)


# Each row: what is said on resuming, and what the refusal names.
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"settings": Settings(size=16, steps=6, rate=0.2)}, "--resume: rate: expected 0.1, as s was begun with; got 0.2"),
    ({"settings": Settings(size=32, steps=6, rate=0.1)}, "--resume: size: expected 16"),
    ({"settings": Settings(size=16, steps=2, rate=0.1)}, "--resume: steps: expected at least 4"),
    ({"content": CONTENT[::-1]}, "--resume: content: expected 16×12 pixels"),
    ({"styles": [STYLE, STYLE]}, "--resume: style: "),
    ({"blend": [0.5]}, "--resume: blend: expected none"),
    ({"mask": HALF}, "--resume: "),
    ({"regions": [HALF]}, "--resume: region: "),
    ({"start": CONTENT}, "--resume: start: expected content"),
]


@pytest.mark.parametrize(("given", "refusal"), OTHERS)
def test_other_paintings_are_not_gone_on_with(
    bowls: Bowls, tmp_path: Path, given: dict[str, Any], refusal: str
) -> None:
    painted(state=tmp_path / "s", stop=Stop(4))
    with pytest.raises(check.SettingError) as refused:
        painted(state=tmp_path / "s", resume=True, **given)
    assert refusal in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("steps", [10, 24])
def test_once_a_larger_size_has_begun_the_number_of_steps_stays(bowls: Bowls, tmp_path: Path, steps: int) -> None:
    """The smaller size made its half of 20 already: fewer or more of them would be another picture."""
    settings = Settings(size=64, steps=20, levels=2, rate=0.1)
    painted(settings, state=tmp_path / "s", stop=Stop(14))
    before = (tmp_path / "s").read_bytes()
    with pytest.raises(check.SettingError, match="--resume: steps: expected as many as it was begun with"):
        painted(replace(settings, steps=steps), state=tmp_path / "s", resume=True)
    assert (tmp_path / "s").read_bytes() == before
    assert painted(settings, state=tmp_path / "s", resume=True).steps == 20


def test_nothing_to_go_on_with(bowls: Bowls, tmp_path: Path) -> None:
    with pytest.raises(check.SettingError, match="expected an unfinished painting"):
        painted(state=tmp_path / "s", resume=True)
    with pytest.raises(check.SettingError, match="resume: expected the file"):
        painted(resume=True)


# --- no numbers ----------------------------------------------------------------------------------------------------


def test_no_number_once_and_the_rate_is_halved(bowls: Bowls) -> None:
    bowls.breaks = range(3, 4)
    found = painted()
    assert (found.ended, found.halved, found.steps) == ("done", 1, 6)
    assert np.isfinite(found.losses).all()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_number_again_and_again_ends_with_the_last_good_picture(
    bowls: Bowls, tmp_path: Path, optimizer: Any
) -> None:
    good = painted(Settings(size=16, steps=2, rate=0.1, optimizer=optimizer))
    bowls.breaks = range(bowls.evaluated + 4, 10**9)
    found = painted(Settings(size=16, steps=9, rate=0.1, optimizer=optimizer), state=tmp_path / "s")
    assert (found.ended, found.halved > 0) == ("not finite", True)
    assert found.last_loss <= good.last_loss
    assert np.isfinite(found.losses).all()
    assert not (tmp_path / "s").exists(), "to go on would end in the same way"


def test_no_number_at_the_beginning_is_refused(bowls: Bowls) -> None:
    bowls.breaks = range(1, 10**9)
    with pytest.raises(check.LensmithError, match="the loss of the first picture is no number"):
        painted()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_number_at_a_larger_size_ends_with_the_picture_of_the_smaller(bowls: Bowls, optimizer: Any) -> None:
    """From the first picture of the second level on: what the first came to is kept, enlarged."""
    settings = Settings(size=64, steps=6, levels=2, rate=0.1, optimizer=optimizer)
    smaller: list[Any] = []

    def look(moment: Any) -> None:
        smaller.append(moment.picture())
        if moment.step == 3:
            bowls.breaks = range(bowls.evaluated + 1, 10**9)

    found = painted(settings, progress=look)
    assert (found.ended, found.steps, len(found.losses)) == ("not finite", 3, 4)
    assert found.last_loss == found.losses[3] < found.first_loss
    assert np.abs(found.image.astype(int) - smaller[-1]).max() <= 1
    assert found.image.shape == (48, 64, 3)


# --- what is told and refused --------------------------------------------------------------------------------------


def test_what_is_told_on_the_way(bowls: Bowls) -> None:
    told: list[Any] = []
    found = painted(Settings(size=64, steps=5, levels=2), progress=told.append)
    assert [(moment.step, moment.steps) for moment in told] == [(0, 5), (1, 5), (2, 5), (3, 5), (3, 5), (4, 5), (5, 5)]
    assert [moment.size for moment in told] == [(24, 32)] * 4 + [(48, 64)] * 3
    # 3 steps of 768 pixels and 2 of 3,072; the end of the first level is the beginning of the second
    work = [0, 768, 1536, 2304, 2304, 5376, 8448]
    assert [moment.done for moment in told] == pytest.approx([each / 8448 for each in work])
    assert [moment.loss for moment in told] == list(found.losses)
    assert told[0].terms() == {"style": pytest.approx(found.first_loss)}
    assert {moment.picture().shape for moment in told} == {(48, 64, 3)}
    assert np.array_equal(told[-1].picture(), found.image)


# Each row: arguments, and what the refusal says.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"styles": []}, "styles: expected one image or more; got none"),
    ({"blend": [1, 2]}, "blend: expected one for each style, so one; got 2"),
    ({"blend": [0]}, "blend: expected a weight above 0"),
    ({"blend": [-1]}, "blend: expected a number from 0"),
    ({"styles": [STYLE, STYLE], "regions": [HALF]}, "region: expected one for each style, 2 of them; got 1"),
    ({"mask": HALF[:, :9]}, "mask: expected the content's size, 16×12 pixels; got 9×12 pixels"),
    ({"mask": HALF, "regions": [1 - HALF]}, "region 1: expected a part inside the mask; got none"),
    ({"elsewhere": "black"}, "elsewhere: expected one of white, content"),
    ({"content": CONTENT.astype(np.float32)}, "content: expected uint8 pixels, or floats from 0 to 1"),
    ({"styles": [np.zeros((0, 4, 3), np.uint8)]}, "style 1: "),
    ({"start": np.zeros((2, 2, 2), np.float32)}, "start: expected pixels of shape (height, width, 3)"),
]


@pytest.mark.parametrize(("given", "refusal"), WRONG)
def test_wrong_arguments(bowls: Bowls, given: dict[str, Any], refusal: str) -> None:
    with pytest.raises(check.LensmithError) as refused:
        painted(**given)
    assert refusal in str(refused.value)
    assert bowls.evaluated == 0


# --- with a network ------------------------------------------------------------------------------------------------


def small_network() -> Any:
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((None, None, 3)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="second"),
    ]
    return open_network(keras.Sequential(layers), ["first", "second"], preprocessing=Preprocessing(image=(32, 32, 3)))


REAL = Settings(size=24, steps=12, style_layers={"first": 1.0, "second": 1.0}, content_layers={"second": 1.0})


@pytest.mark.backends
def test_with_a_network_the_loss_falls_and_a_resume_is_equal(tmp_path: Path) -> None:
    network, styles = small_network(), [pictures.to_bytes(rng.random((20, 20, 3)))]
    whole = paint(CONTENT, styles, network, REAL)
    assert whole.last_loss < 0.8 * whole.first_loss
    paint(CONTENT, styles, network, REAL, state=tmp_path / "s", stop=Stop(5))
    found = paint(CONTENT, styles, network, REAL, state=tmp_path / "s", resume=True)
    assert np.array_equal(found.image, whole.image)
    assert found.losses == whole.losses


def test_other_weights_are_not_gone_on_with(tmp_path: Path) -> None:
    network, styles = small_network(), [STYLE]
    paint(CONTENT, styles, network, REAL, state=tmp_path / "s", stop=Stop(2))
    network.model.get_layer("first").bias.assign(np.ones(8))
    with pytest.raises(check.SettingError, match="--resume: weights: expected"):
        paint(CONTENT, styles, network, REAL, state=tmp_path / "s", resume=True)
