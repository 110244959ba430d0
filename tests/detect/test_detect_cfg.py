"""The text of Darknet's files: what counts, what is noted, what is refused in one line, and text of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.detect.darknet import cfg as cfgs
from lensmith.detect.darknet.cfg import parse
from lensmith.detect.darknet.cfg_keys import KEYS
from lensmith.detect.darknet.recipe import recipe

NET = "[net]\nwidth=8\nheight=8\nchannels=3\n"


def test_white_space_comments_and_names() -> None:
    text = "# a file\r\n\r\n [ net ]\r\n;width=1\r\nwidth = 4 1 6 # pixels\r\n\r\n[conv]\r\n"
    text += "\tfilters\t=\t3\r\n[max]\rsize=2"
    cfg = parse(text)
    assert (cfg.net.kind, cfg.net.line, cfg.net.settings) == ("net", 3, {"width": "416"})
    assert [(section.kind, section.line) for section in cfg.sections] == [("convolutional", 7), ("maxpool", 9)]
    assert cfg.sections[0].settings == {"filters": "3"}
    assert cfg.sections[0].lines == {"filters": 8}
    assert cfg.notes == ()


def test_the_first_of_two_counts_as_in_darknet() -> None:
    cfg = parse("[net]\nbatch=1\nbatch=64\n[conv]\nfilters=2\n")
    assert cfg.net.whole("batch", 8) == 1
    assert cfg.notes == ("cfg:3: [net] has 'batch' already in line 2, which counts",)


def test_what_nothing_reads_is_noted() -> None:
    cfg = parse(NET + "[conv]\nfilter=2\nxyz=1\nhello\nstride=\n", "a.cfg")
    assert cfg.notes == (
        "a.cfg:6: [convolutional] has no setting 'filter'; it was ignored. Did you mean 'filters'?",
        "a.cfg:7: [convolutional] has no setting 'xyz'; it was ignored",
        "a.cfg:8: expected a setting such as stride=2; got 'hello', which was ignored",
        "a.cfg:9: expected a setting such as stride=2; got 'stride=', which was ignored",
    )


def test_a_hundred_notes_are_enough() -> None:
    cfg = parse(NET + "[conv]\n" + "".join(f"k{i}=1\n" for i in range(50_000)))
    assert len(cfg.notes) == cfgs.MOST_NOTES


def test_numbers() -> None:
    section = parse(NET + "[yolo]\nnum=3.0\nmask = 0, 1,2,\nanchors=1.5,.5, 2e1,-3\nclasses=+4\n").sections[0]
    assert section.whole("num", 1) == 3
    assert section.wholes("mask") == (0, 1, 2)
    assert section.numbers("anchors") == (1.5, 0.5, 20.0, -3.0)
    assert section.whole("classes", 20) == 4
    assert section.whole("max", 90) == 90
    assert section.numbers("map") == ()
    assert section.text("map", "none") == "none"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("two", "cfg:6: [convolutional] stride: expected a whole number; got 'two'"),
        ("1.5", "got '1.5'"),
        ("1e3", "got '1e3'"),
        ("0", "expected a whole number from 1 to 1,024; got 0"),
        ("-1", "expected a whole number from 1 to 1,024; got -1"),
        ("99999999", "expected a whole number from 1 to 1,024; got 99999999"),
        ("9" * 5000, "expected a whole number; got '99999"),
        ("nan", "got 'nan'"),
        ("٣", "expected a whole number"),  # a digit, but not one that C reads
    ],
)
def test_strides_that_are_none(value: str, words: str) -> None:
    with pytest.raises(check.DataError) as caught:
        recipe(parse(NET + f"[conv]\nstride={value}\n"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["1e999", "inf", "nan", "1,5", "", "0x10", "½"])
def test_numbers_that_are_none(value: str) -> None:
    section = parse(NET + f"[upsample]\nstride=2\nscale={value}\n").sections[0]
    if not value:  # as if it was not there
        assert section.number("scale", 1.0) == 1.0
        return
    with pytest.raises(check.DataError, match="cfg:7: \\[upsample\\] scale: expected a number; got"):
        section.number("scale", 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cfg: expected [net] and at least one layer; got no section"),
        ("\n# nothing\n", "got no section"),
        ("[net]\nwidth=3\n", "expected [net] and at least one layer; got [net] alone"),
        ("width=3\n[net]\n", "cfg:1: expected [net] before any setting; got 'width=3'"),
        ("[conv]\nfilters=3\n", "cfg:1: expected [net] as the first section and nowhere else; got [convolutional]"),
        (NET + "[conv]\n[network]\n", "cfg:6: expected [net] as the first section and nowhere else; got a second one"),
        (NET + "[convolution]\n", "got '[convolution]'. Did you mean 'convolutional'?"),
        (NET + "[conv\n", "cfg:5: expected one of net, convolutional"),
        (NET + "[]\n", "got '[]'"),
        (NET + "[rnn]\n", "cfg:5: expected layers of a network for images; got [rnn], which is for sequences"),
        (NET + "[deconvolutional]\n", "cfg:5: expected a layer that can be read here; got [deconvolutional]"),
        (NET + "[conv]\0\n", "expected a text of at most 4,194,304 characters; got something else"),
        (NET + "[conv]\n" * 4097, "cfg:4101: expected at most 4,096 layers; got more"),
    ],
)
def test_texts_that_are_none(text: str, words: str) -> None:
    with pytest.raises(check.DataError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_bytes(("\ufeff" + NET + "[conv]\n# Größe\n").encode())
    assert cfgs.read(file).sections[0].place("filters") == f"{file}:5: [convolutional] filters"
    file.write_bytes(b"\x00\x00\x00\x00\x02\x00\x00\x00" + bytes(range(256)))
    with pytest.raises(check.DataError, match=r"a\.cfg"):
        cfgs.read(file)
    file.write_bytes(b"#" * (cfgs.MOST_BYTES + 1))
    with pytest.raises(check.DataError, match="at most 4,194,304 bytes"):
        cfgs.read(file)
    with pytest.raises(check.DataError, match=r"b\.cfg"):
        cfgs.read(tmp_path / "b.cfg")
    with pytest.raises(check.DataError):
        cfgs.read(tmp_path)


# --- text of any kind ----------------------------------------------------------------------------------------------


def _judged(text: str) -> None:
    """A recipe, or one line that says why not."""
    try:
        recipe(parse(text))
    except check.DataError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1500


@settings(max_examples=25, deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    _judged(text)
    _judged(NET + text)


_VALUES = st.one_of(
    st.integers(-3, 9).map(str),
    st.sampled_from(["0", "1", "2", "3", "8", "32", "-1", "-2", "100000", "999999999", "leaky", "linear", "x", ""]),
    st.lists(st.integers(-9, 12), max_size=7).map(lambda each: ",".join(map(str, each))),
    st.floats().map(str),
    st.text(max_size=5),
)
_LINES = st.sampled_from(sorted(KEYS)).flatmap(
    lambda kind: st.dictionaries(st.sampled_from(sorted(KEYS[kind])), _VALUES, max_size=5).map(
        lambda settings: f"[{kind}]\n" + "".join(f"{key}={value}\n" for key, value in settings.items())
    )
)


@settings(max_examples=50, deadline=None)
@given(st.lists(_LINES, max_size=8), st.booleans())
def test_any_sections(sections: list[str], whole: bool) -> None:
    _judged((NET if whole else "") + "".join(sections))


FAIR = (
    "[net]\nwidth=16\nheight=16\nchannels=3\n[conv]\nfilters=4\nsize=3\nstride=2\npad=1\n[maxpool]\nsize=2\nstride=2\n"
    "[upsample]\n[route]\nlayers=-1,0\n[shortcut]\nfrom=-1\n[reorg]\nstride=2\n[conv]\nfilters=14\n"
    "[yolo]\nclasses=2\nnum=2\nanchors=1,2,3,4\n"
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(FAIR)), st.integers(0, 12), st.text("0123456789-,.=[]#\nnetcov", max_size=6))
def test_any_damage(at: int, cut: int, put: str) -> None:
    _judged(FAIR[:at] + put + FAIR[at + cut :])


def test_the_text_that_is_damaged_is_fair() -> None:
    assert recipe(parse(FAIR)).tasks["objects"].classes == 2
