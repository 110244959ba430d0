"""The macro-architecture as boxes, as text and as SVG."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from lensmith.compose import Classify, Conv, ConvStem, Group, Groups, Recipe, Regress, outline
from lensmith.compose.auxiliary import Auxiliary
from lensmith.compose.diagram import as_svg, figure
from lensmith.compose.drawing import Tap, as_text, plan

RECIPE = Recipe(
    input=(32, 32, 3),
    stem=ConvStem(4, kernel=3, stride=2),
    learner=Groups(Group(Conv(), filters=(8, 8), pool=2), Group(Conv(), filters=16, stride=2)),
    tasks={"species": Classify(5, hidden=(7,)), "quality": Regress()},
)
HELPED = replace(RECIPE, auxiliaries=(Auxiliary("species", "learner-group1-block1", pool=None, hidden=()),))


def test_boxes_say_what_the_recipe_says() -> None:
    boxes = {box.name: box for box in plan(RECIPE)}
    assert list(boxes) == ["input", "stem", "group 1", "group 2", "species", "quality"]
    assert [box.says for box in boxes.values()] == [
        "image",
        "conv 3×3 /2 4",
        "2 × conv 8 → max pool 2",
        "conv 16",
        "average pool → 7 → classify 5",
        "average pool → regress 1",
    ]
    assert [box.blocks for box in boxes.values()] == [0, 0, 2, 1, 0, 0]
    assert boxes["group 1"].part.shape == (8, 8, 8)
    assert boxes["group 1"].part.sources == ("stem",)
    assert boxes["group 2"].taps == (Tap("P3", "learner-group2-block1-activation", (4, 4, 16)),)
    assert boxes["group 2"].taps[0].stride == 8


def test_parts_cost_what_paper_says() -> None:
    costs = {part.name: (part.parameters, part.flops) for part in outline(RECIPE)}
    assert costs["stem"] == (9 * 3 * 4 + 4 * 4, 16 * 16 * 9 * 3 * 4)  # no bias; four numbers a channel
    assert costs["learner-group2"] == (9 * 8 * 16 + 16, 4 * 4 * 9 * 8 * 16)
    assert costs["task-species"] == (16 * 7 + 7 + 7 * 5 + 5, 16 * 7 + 7 * 5)


def test_an_outline_of_the_recipe_is_that_of_its_model() -> None:
    assert outline(RECIPE) == outline(RECIPE.build(seed=0))


def test_auxiliary_heads_are_told_apart() -> None:
    box = plan(HELPED)[-1]
    assert (box.name, box.role, box.says) == ("species_aux1", "auxiliary", "after group1-block1 · 0.3")
    assert box.part.sources == ("learner-group1",)
    assert "training only" in as_text(plan(HELPED)).splitlines()[-1]


def test_text_narrows_as_feature_maps_do() -> None:
    lines = as_text(plan(RECIPE)).splitlines()
    bars = [line.count("█") for line in lines]
    assert bars[:4] == sorted(bars[:4], reverse=True)
    assert bars[0] > bars[3] > 0
    assert [line[:2] for line in lines[4:]] == ["├─", "└─"]


def test_svg_is_whole_and_shows_every_part() -> None:
    drawn = as_svg(plan(HELPED), "a <b> & c", "lead")
    tree = ElementTree.fromstring(drawn)
    words = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a <b> & c", "lead", "stem", "group 1", "group 2", "species", "quality", "species_aux1"} <= set(words)
    assert {"P1 P2", "P3", "4×4×16"} <= set(words)
    fronts = [e for e in tree.iter("{http://www.w3.org/2000/svg}path") if e.get("class") == "face"]
    assert len(fronts) == 5  # input, stem, two blocks and one
    width, height = float(tree.get("width", "")), float(tree.get("height", ""))
    for box in tree.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x", "")) + float(box.get("width", "")) <= width
        assert float(box.get("y", "")) + float(box.get("height", "")) <= height


def test_figures_have_three_digits() -> None:
    assert [figure(n) for n in (0, 999, 1_234, 56_789, 999_000, 1_234_567_890)] == [
        "0",
        "999",
        "1.23 k",
        "56.8 k",
        "999 k",
        "1.23 G",
    ]
