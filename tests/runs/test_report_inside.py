"""What a look inside a model adds to a page: escaped, in order, only where there is something."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lensmith.check import SettingError
from lensmith.compose import Part
from lensmith.probe.figure import Figure
from lensmith.runs.report import Content, Look, Said, render, render_probe
from lensmith.runs.report.probed import rows

VOID = {"meta", "link", "img", "br", "hr"}
NASTY = "<script>alert('é')</script>&\"quoted\""
PICTURE = np.random.default_rng(0).integers(0, 255, (30, 1400, 3), np.uint8)
CAM = Figure("cam", "Grad-CAM of cat", PICTURE, facts={"layer": "conv4", "score": 0.25}, note="Red is more.")
COST = Figure("cost", "What it costs", PICTURE[:, :50])
SAID = Said("label", "class", (("cat", 0.75), ("dog", 0.25)))
LOOK = Look("cat.png", (CAM, COST), (SAID,))


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what a reader would meet."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(" ".join(data.split()))

    @property
    def text(self):
        return " ".join(word for word in self.words if word)

    def found(self, tag, name):
        return [attrs[name] for other, attrs in self.tags if other == tag and name in attrs]


def content(*looks, **more):
    return Content("compact", subtitle="on cats", looks=looks, **more)


def test_a_run_without_a_look_does_not_speak_of_it():
    page = Page(render(content()))
    assert "#inside" not in page.found("a", "href")
    assert "inside" not in page.found("section", "id")


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_with_one_has_a_section_and_a_way_to_it(finished):
    page = Page(render(content(LOOK, finished=finished)))
    assert page.found("a", "href").count("#inside") == 1
    ids, ways = page.found("section", "id"), page.found("a", "href")
    assert [f"#{name}" for name in ids] == ways
    assert ids.index("inside") == ids.index("data") - 1
    assert "Looking inside cat.png" in page.text


def test_a_page_of_its_own_has_predictions_first_then_the_figures_in_order():
    page = Page(render_probe(content(LOOK, backend="torch", outline=(Part("head", 1, (10,), 25_600, 0, ""),))))
    places = [
        page.text.index(words)
        for words in (
            "Looking inside a model",
            "compact",
            "on cats",
            "figures 2 parameters 25.6 k backend torch",
            "cat.png",
            "Label. class probability cat 75.0 % dog 25.0 %",
            "Grad-CAM of cat Red is more.",
            "layer conv4 score 0.25",
            "What it costs",
        )
    ]
    assert places == sorted(places)
    assert page.found("section", "id") == ["inside"]
    assert page.found("i", "style") == ["--part:0.750", "--part:0.250"]


def test_the_picture_in_the_page_is_the_picture_of_the_figure_in_its_own_size():
    page = Page(render_probe(content(LOOK)))
    shown = [attrs for tag, attrs in page.tags if tag == "img"]
    for attrs, figure in zip(shown, LOOK.figures, strict=True):
        data = base64.b64decode(attrs["src"].removeprefix("data:image/png;base64,"))
        assert (np.asarray(Image.open(io.BytesIO(data))) == figure.picture).all()
        assert (int(attrs["height"]), int(attrs["width"])) == figure.picture.shape[:2]
        assert attrs["alt"] == figure.title
    style = render_probe(content()).split("<style>")[1].split("</style>")[0]
    paper = re.search(r"\.paper \{(.*?)\}", style, re.DOTALL)[1]
    assert "overflow: auto" in paper
    assert "background: #fff" in paper  # in dark pages too


@pytest.mark.parametrize("draw", [render, render_probe])
def test_every_word_is_escaped(draw):
    figure = Figure("cam", NASTY, PICTURE, facts={NASTY: NASTY, "list": [NASTY], "in": {NASTY: 1}}, note=NASTY)
    look = Look(NASTY, (figure,), (Said(NASTY, "class", ((NASTY, 0.5),)), Said("age", "number", ((NASTY, 3),))))
    text = draw(Content(NASTY, subtitle=NASTY, looks=(look,), commands=((NASTY, NASTY),)))
    assert "<script" not in text.lower()
    page = Page(text)
    assert page.text.count(NASTY) >= 10
    assert NASTY in page.found("img", "alt")
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere():
    page = Page(render_probe(content(LOOK, commands=(("Again", "lensmith probe x"),))))
    addresses = page.found("img", "src") + page.found("link", "href") + page.found("a", "href")
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "default-src 'none'" in " ".join(page.found("meta", "content"))


def test_numbers_are_no_probabilities():
    said = Said("age", "number", (("years", 0.5), ("lost", float("nan"))))
    page = Page(render_probe(content(Look("cat.png", (), (said,)))))
    assert "Age. value number years 0.5 lost –" in page.text
    assert page.found("i", "style") == []
    assert "No picture was made." in page.text


def test_a_probability_beyond_its_range_does_not_break_the_page():
    said = Said("label", "classes", (("a", float("nan")), ("b", 1.5), ("c", -0.1), ("d", 0)))
    page = Page(render_probe(content(Look("", (), (said, Said("none", "class", ()))))))
    assert page.found("i", "style") == ["--part:0.000", "--part:1.000", "--part:0.000", "--part:0.000"]
    assert "Label, each by itself." in page.text


def test_figures_of_the_model_alone_are_told_from_those_of_an_image():
    assert "The model itself" not in Page(render_probe(content(Look("", (COST,))))).text
    both = Page(render_probe(content(LOOK, Look("", (COST,))))).text
    assert "The model itself" in both
    assert "figures 3" in both


def test_a_page_without_anything_says_so():
    assert "Nothing was looked at." in Page(render_probe(content())).text


def test_long_facts_are_folded_and_longer_ones_left_to_the_files():
    def shown(facts):
        return Page(render_probe(content(Look("x", (replace(COST, facts=facts),)))))

    short, folded = shown({"a": 1}), shown({f"fact {at}": at for at in range(10)})
    assert [attrs for tag, attrs in short.tags if tag == "details"] == [{"open": None}]
    assert [attrs for tag, attrs in folded.tags if tag == "details"] == [{}]
    for facts in ({}, {f"fact {at}": at for at in range(99)}, {"a": [[1, 2], [3, 4]]}, {"a": "long " * 99}):
        assert "details" not in [tag for tag, _ in shown(facts).tags], facts


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"dead_units": 3}, (("dead units", "3"),)),
        ({"a": 1234567, "b": 0.123456}, (("a", "1,234,567"), ("b", "0.1235"))),
        ({"a": True, "b": None}, (("a", "yes"), ("b", "–"))),
        ({"a": np.float32(0.5), "b": np.int64(7)}, (("a", "0.5"), ("b", "7"))),
        ({"a": float("nan"), "b": float("inf"), "c": 10**400, "d": -(10**5000)}, (("a", "–"), ("b", "–"))),
        ({"share": {"relu": 0.5, "all": [1, 2]}}, (("share relu", "0.5"), ("share all", "1, 2"))),
        ({"shape": [28, 28, 1], "names": ("a", "b")}, (("shape", "28, 28, 1"), ("names", "a, b"))),
        ({"many": list(range(17)), "deep": {"a": {"b": 1}}, "none": [], "empty": ""}, ()),
    ],
)
def test_facts_in_words(facts, expected):
    assert rows(facts) == expected


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match="label: kind"):
        Said("label", "boxes", ())
