"""The drawings: exact pixels where they are known, right sizes for any input, and no crash on what is odd."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lensmith.check import DataError, LensmithError, SettingError
from lensmith.data.overlay import colour_of
from lensmith.probe import drawing
from lensmith.probe.drawing import paper
from lensmith.probe.drawing.maps import MISSING

M, GAP = paper.MARGIN, paper.GAP
MAPS = [drawing.gray, drawing.coloured, drawing.signed]
quick = settings(max_examples=25, deadline=None)
rng = np.random.default_rng(0)


def is_picture(picture):
    return picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size > 0


def has(picture, colour):
    return bool((picture == np.array(colour, np.uint8)).all(axis=-1).any())


SIGNATURES = {
    "grid": ["tiles", "captions", "columns", "cell", "title"],
    "beside": ["pictures", "captions", "height"],
    "gray": ["values", "low", "high", "bar"],
    "coloured": ["values", "low", "high", "bar"],
    "signed": ["values", "largest", "bar"],
    "overlaid": ["image", "heat", "strength"],
    "bars": ["histograms", "columns", "title"],
    "lines": ["series", "title", "x", "y"],
    "scatter": ["points", "classes", "colours", "thumbnails", "side", "title"],
    "table": ["rows", "head", "title"],
}


def test_the_names_and_their_arguments_are_those_agreed_on():
    assert sorted(drawing.__all__) == sorted(SIGNATURES)
    for name, arguments in SIGNATURES.items():
        assert list(inspect.signature(getattr(drawing, name)).parameters) == arguments


# ---- numbers as colours


def test_gray_rounds_to_the_nearest_of_256():
    assert drawing.gray(np.array([[0, 51, 255]]))[0].tolist() == [[0] * 3, [51] * 3, [255] * 3]
    assert drawing.gray(np.array([[-1.0, 1.0, 3.0]]), low=0, high=2)[0, :, 0].tolist() == [0, 128, 255]


def test_viridis_grows_brighter_all_the_way():
    brightness = drawing.coloured(np.arange(256.0)[None])[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > -0.3).all()
    assert brightness[-1] > brightness[128] > brightness[0]


def test_signed_is_white_at_zero_and_as_strong_on_both_sides():
    picture = drawing.signed(np.array([[-3.0, 0.0, 1.5, 3.0]]))
    assert picture[0].tolist()[1] == [255, 255, 255]
    assert picture[0, 0, 2] > picture[0, 0, 0]  # blue is below
    assert picture[0, 3, 0] > picture[0, 3, 2]  # red is above
    half = 255 + (picture[0, 3].astype(float) - 255) / 2
    assert np.abs(picture[0, 2] - half).max() <= 0.5
    assert drawing.signed(np.array([[-9.0, 1.0]]), largest=1)[0, 0].tolist() == picture[0, 0].tolist()


@pytest.mark.parametrize("draw", MAPS)
@pytest.mark.parametrize("bar", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        np.zeros((3, 4)),  # all the same, and no largest distance
        np.full((3, 4), 7, np.int64),
        np.full((1, 1), -2.5, np.float16),
        np.full((3, 4), np.nan),  # nothing to take a range from
        np.full((2, 2), np.inf),
        np.array([[np.nan, -np.inf, np.inf, 1.0]]),
        np.array([[-1.7e308, 1.7e308]]),  # the difference is more than a float holds
        np.array([[5e-324, 0.0]]),
        np.array([[True, False]]),
        np.array([[0, 255]], np.uint8),
        np.zeros((1, 3000)),
        np.asfortranarray(np.arange(12.0).reshape(3, 4))[::-1, ::2],
    ],
    ids=str,
)
def test_any_numbers_can_be_drawn(draw, bar, values):
    picture = draw(values, bar=bar)
    assert is_picture(picture)
    if not bar:
        assert picture.shape[:2] == values.shape
        missing = (picture == np.array(MISSING, np.uint8)).all(axis=-1)
        assert (missing == np.isnan(values.astype(float))).all()


@pytest.mark.parametrize("draw", MAPS)
def test_an_infinity_is_at_the_end_of_the_scale(draw):
    picture = draw(np.array([[-np.inf, -1.0, 1.0, np.inf]]))[0].tolist()
    assert picture[0] == picture[1] != picture[2] == picture[3]


@quick
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.booleans())
def test_larger_values_are_never_darker(values, as_single):
    values = values.astype(np.float32) if as_single and np.abs(np.nan_to_num(values)).max() < 1e38 else values
    flat = drawing.gray(values)[..., 0].ravel().astype(int)
    kept = ~np.isnan(values.ravel())
    order = np.argsort(values.ravel()[kept], kind="stable")
    assert (np.diff(flat[kept][order]) >= 0).all()


@pytest.mark.parametrize("draw", MAPS)
@pytest.mark.parametrize(
    "values", [np.zeros((0, 3)), np.zeros(3), np.zeros((2, 2, 3)), np.zeros((2, 2), complex), np.array([["a"]])]
)
def test_what_is_no_plane_of_numbers_is_refused_in_one_line(draw, values):
    with pytest.raises(DataError, match="values: expected an array of numbers") as caught:
        draw(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("low", "high"), [(2, 1), (np.nan, None), (None, np.inf), (-np.inf, 0)], ids=["swapped", "nan", "inf", "-inf"]
)
def test_a_scale_that_is_none_is_refused(low, high):
    with pytest.raises(SettingError, match="low and high"):
        drawing.gray(np.zeros((1, 1)), low, high)
    with pytest.raises(SettingError, match="largest"):
        drawing.signed(np.zeros((1, 1)), -1)


def test_one_end_of_the_scale_may_be_given_even_beyond_all_values():
    assert drawing.gray(np.array([[1.0, 2.0]]), low=5)[0, :, 0].tolist() == [0, 0]
    assert drawing.gray(np.array([[1.0, 2.0]]), high=0)[0, :, 0].tolist() == [255, 255]
    assert drawing.gray(np.array([[1.0, 2.0]]), low=0)[0, :, 0].tolist() == [128, 255]


def test_a_bar_shows_the_scale_from_its_lowest_to_its_highest_colour():
    picture = drawing.coloured(np.array([[-1.0, 1.0], [0.0, 1.0]]), bar=True)
    at = M + 224 + GAP + 3
    assert picture[M, at].tolist() == [253, 231, 37]
    assert picture[M + 223, at].tolist() == [68, 1, 84]
    assert picture[M + 10, M + 10].tolist() == [68, 1, 84]  # the enlarged map itself
    assert (picture[M + 112 : M + 224, M : M + 112] == picture[M + 112, M]).all()


# ---- heat over an image


@quick
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_no_heat_leaves_the_image_as_it_was(image):
    assert (drawing.overlaid(image, np.zeros((2, 3))) == image).all()
    assert (drawing.overlaid(image, np.full((2, 3), np.nan)) == image).all()
    assert (drawing.overlaid(image, np.ones((2, 3)), strength=0) == image).all()


def test_full_heat_hides_as_much_as_was_asked_for():
    red = drawing.overlaid(np.zeros((2, 2, 3), np.uint8), np.ones((1, 1)), strength=1)
    half = drawing.overlaid(np.zeros((2, 2, 3), np.uint8), np.ones((1, 1)))
    assert red[0, 0, 0] > 100
    assert red[0, 0, 1:].max() < 20
    assert np.abs(half.astype(float) - red / 2).max() <= 0.5
    assert (drawing.overlaid(np.zeros((2, 2), np.uint8), np.full((1, 1), 99.0), strength=1) == red).all()


def test_heat_lies_where_it_was_found():
    heat = np.zeros((4, 8))
    heat[3, 1] = 1
    changed = (drawing.overlaid(np.full((40, 80), 99, np.uint8), heat) != 99).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert (rows.mean() > 30) & (abs(columns.mean() - 15) < 1.5)
    large = drawing.overlaid(np.full((2, 2), 99, np.uint8), np.kron(np.eye(2), np.ones((50, 50))))
    assert (large[0, 0] != 99).any()
    assert (large[0, 1] == 99).all()


def test_a_strength_or_image_that_is_none_is_refused():
    with pytest.raises(SettingError, match="strength"):
        drawing.overlaid(np.zeros((2, 2), np.uint8), np.zeros((2, 2)), strength=1.5)
    with pytest.raises(DataError, match="image: expected a uint8 picture"):
        drawing.overlaid(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(DataError, match="values"):
        drawing.overlaid(np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1)))


# ---- pictures side by side


def test_a_grid_puts_each_tile_in_its_cell_without_smoothing():
    tiles = [rng.integers(0, 255, (4, 4, 3), np.uint8) for _ in range(5)]
    picture = drawing.grid(tiles, columns=3, cell=8)
    assert picture.shape == (2 * M + 2 * 8 + GAP, 2 * M + 3 * 8 + 2 * GAP, 3)
    for at, tile in enumerate(tiles):
        y, x = M + at // 3 * (8 + GAP), M + at % 3 * (8 + GAP)
        assert (picture[y : y + 8, x : x + 8] == tile.repeat(2, 0).repeat(2, 1)).all()
    assert picture[M + 4, M + 8 + GAP // 2].tolist() == [255, 255, 255]  # paper between them
    assert (picture[-M - 8 :, -M - 8 :] == 255).all()  # and where a sixth would be


def test_gray_tiles_large_tiles_and_narrow_tiles():
    large = np.kron(np.array([[0, 200]], np.uint8), np.ones((32, 16), np.uint8))  # (32, 32)
    narrow = np.full((16, 8, 1), 9, np.uint8)
    picture = drawing.grid([large, narrow], cell=16)
    assert picture[M, M : M + 16, 0].tolist() == [0] * 8 + [200] * 8
    inside = picture[M + 3, M + 16 + GAP : M + 32 + GAP].tolist()
    assert inside == [list(paper.MATTE)] * 4 + [[9] * 3] * 8 + [list(paper.MATTE)] * 4


def test_tiles_of_one_size_are_enlarged_by_a_whole_number():
    picture = drawing.grid([np.eye(7, dtype=np.uint8)] * 2, cell=96)
    assert picture.shape[0] == 2 * M + 98
    picture = drawing.grid([np.eye(7, dtype=np.uint8), np.eye(8, dtype=np.uint8)], cell=96)
    assert picture.shape[0] == 2 * M + 96


@quick
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=12),
    st.one_of(st.none(), st.integers(1, 15)),
    st.integers(1, 50),
    st.booleans(),
    st.text(max_size=30),
)
def test_a_grid_has_room_for_all(sizes, columns, cell, captioned, title):
    tiles = [np.full(size, 7, np.uint8) for size in sizes]
    picture = drawing.grid(tiles, [title] * len(tiles) if captioned else (), columns=columns, cell=cell, title=title)
    assert is_picture(picture)
    across = min(columns or 12, len(tiles))
    assert picture.shape[1] >= 2 * M + (across if columns else 1) * cell // 2
    assert has(picture, (7, 7, 7))


def test_without_a_number_of_columns_the_rows_are_about_equal():
    picture = drawing.grid([np.zeros((8, 8), np.uint8)] * 12, cell=96)
    assert picture.shape[1] == 2 * M + 6 * 96 + 5 * GAP  # nine would fit; two rows of six look better
    assert drawing.grid([np.zeros((8, 8), np.uint8)] * 3, columns=9, cell=8).shape[1] == 2 * M + 3 * 8 + 2 * GAP


def test_a_caption_is_written_below_its_tile_and_cut():
    without = drawing.grid([np.zeros((8, 8), np.uint8)] * 2, cell=64)
    named = drawing.grid([np.zeros((8, 8), np.uint8)] * 2, ["", "word " * 50], cell=64)
    assert named.shape[0] == without.shape[0] + 5 + 2 * paper.LINE
    below = named[M + 64 : -M]
    assert (below[:, : M + 64] == 255).all()
    assert below[:, M + 64 + GAP : -M].min() < 60
    assert (below[:, -M + 1 :] == 255).all()  # it does not run over


def test_pictures_beside_one_another_have_one_height():
    one, two = np.full((4, 2, 3), 10, np.uint8), np.full((20, 40), 90, np.uint8)
    picture = drawing.beside([one, two], ["one", ""], height=8)
    assert (picture[M : M + 8, M : M + 4] == 10).all()
    assert (picture[M : M + 8, M + 4 + GAP : -M] == 90).all()
    assert picture.shape[1] == 2 * M + 4 + GAP + 16
    wide = drawing.beside([np.zeros((1, 1000), np.uint8)], height=50)
    assert wide.shape[1] == 2 * M + 200  # at most four times as wide as high


@pytest.mark.parametrize("draw", [drawing.grid, drawing.beside])
def test_what_is_no_picture_is_refused_by_its_place(draw):
    good = np.zeros((2, 2), np.uint8)
    bad = [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8), np.zeros(2, np.uint8)]
    for tile in bad:
        with pytest.raises(DataError, match="tile 2: expected a uint8 picture"):
            draw([good, tile])
    with pytest.raises(DataError, match="at least one picture"):
        draw([])
    with pytest.raises(DataError, match="captions: expected none, or one for each of 2"):
        draw([good, good], ["one"])


@pytest.mark.parametrize("settings", [{"columns": 0}, {"cell": 0}, {"cell": 2.5}])
def test_a_grid_of_no_size_is_refused(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        drawing.grid([np.zeros((2, 2), np.uint8)], **settings)


# ---- words


@quick
@given(st.text(max_size=60), st.integers(0, 200))
def test_words_fit_and_hold_nothing_that_cannot_be_drawn(text, width):
    short = paper.cut(text, width)
    assert paper.font(12).getlength(short) <= width
    assert "\n" not in short
    assert short == paper.plain(text) or short.endswith("…") or short == ""


def test_no_letter_is_drawn_as_an_empty_box():
    missing = paper._shape("\U0010ffff")
    for letter in "éß×−→²日😀Łñ½€\x00\u0301aA0.…":
        assert all(paper._shape(drawn) != missing for drawn in paper.plain(f"a{letter}"))
    assert paper.plain("3×3 Größe") == "3x3 Grosse"


# ---- histograms, curves, tables


def test_bars_are_as_high_as_their_counts():
    counts = np.array([0, 1, 2, 4])
    picture = drawing.bars({"": (counts, np.arange(5.0))})
    blue = (picture == np.array((41, 98, 168), np.uint8)).all(axis=-1)
    heights = blue.sum(axis=0)[M : M + 226]
    places = [(at + 0.5) * 225 / 4 for at in range(4)]
    assert [int(heights[int(place)]) for place in places] == [0, 27, 54, 108]


def test_rare_counts_still_show():
    picture = drawing.bars({"": (np.array([1, 10**9]), np.arange(3.0))})
    blue = (picture == np.array((41, 98, 168), np.uint8)).all(axis=-1)
    assert blue[:, M + 50].sum() == 1


@pytest.mark.parametrize(
    "histogram",
    [
        (np.zeros(0), np.zeros(0)),  # an empty one, without or with its one edge
        (np.zeros(0), np.zeros(1)),
        (np.zeros(5), np.linspace(0, 1, 6)),  # nothing was counted
        (np.array([3]), np.array([2.0, 2.0])),  # all values are one
        (np.array([3, 4]), np.array([-1.7e308, 0, 1.7e308])),
        (np.arange(5000), np.arange(5001) / 7 - 300),  # more bars than pixels
        np.histogram(np.full(9, -4.25)),
    ],
    ids=["none", "edge", "zero", "constant", "huge", "many", "numpy"],
)
def test_odd_histograms_are_drawn(histogram):
    assert is_picture(drawing.bars({"layer": histogram}))


@pytest.mark.parametrize(
    ("counts", "edges"),
    [
        ([1.0, np.nan], [0, 1, 2]),
        ([1, -1], [0, 1, 2]),
        ([1, 1], [0, 1]),
        ([1, 1], [0, 2, 1]),
        ([1, 1], [0, 1, np.inf]),
        ([[1]], [0, 1]),
    ],
)
def test_histograms_that_are_none_are_refused_by_name(counts, edges):
    with pytest.raises(DataError, match="conv1: "):
        drawing.bars({"conv1": (np.array(counts), np.array(edges))})


def test_nothing_to_draw_is_refused():
    for draw in (drawing.bars, drawing.lines):
        with pytest.raises(DataError, match="at least one"):
            draw({})
    with pytest.raises(DataError, match="head"):
        drawing.table([], [])
    with pytest.raises(DataError, match="row 2: expected 2 pieces of text; got 1"):
        drawing.table([["a", "b"], ["a"]], ["one", "two"])
    with pytest.raises(DataError, match="series loss"):
        drawing.lines({"loss": np.zeros((2, 2))})


def curve_pixels(picture, at=0):
    return np.nonzero((picture == np.array(colour_of(at), np.uint8)).all(axis=-1))


def test_a_curve_goes_from_its_first_value_to_its_last():
    rows, columns = curve_pixels(drawing.lines({"": np.array([1.0, 0.0])}))
    assert columns.max() - columns.min() > 600
    assert rows[columns == columns.min()].mean() < 20 + rows.min()
    assert rows[columns == columns.max()].mean() > rows.max() - 20
    assert abs(rows.max() - rows.min() - 300) < 5


def test_a_curve_is_broken_where_a_value_is_missing():
    values = np.zeros(11)
    values[5] = np.nan
    _, columns = curve_pixels(drawing.lines({"": values}))
    across = np.unique(columns)
    assert np.diff(across).max() > 100
    _, lone = curve_pixels(drawing.lines({"": np.array([np.nan, 2.0, np.inf])}))
    assert 3 <= len(np.unique(lone)) <= 7  # a dot


@quick
@given(st.dictionaries(st.text(max_size=5), hnp.arrays(np.float64, st.integers(0, 30)), min_size=1, max_size=50))
def test_any_series_can_be_drawn(series):
    picture = drawing.lines(series, title="t", x="x", y="y")
    assert is_picture(picture)
    assert picture.shape[1] == 760 + 2 * M


def test_columns_of_numbers_are_aligned_at_their_right():
    picture = drawing.table([["conv", "1"], ["dense", "1,234,567"]], ["layer", "weights"])
    numbers = picture[:, M + paper.length("dense") + 24 :]
    first = np.nonzero((numbers[M + 22 : M + 40] < 120).all(axis=-1))[1]
    second = np.nonzero((numbers[M + 44 : M + 62] < 120).all(axis=-1))[1]
    assert first.max() >= second.max() - 3
    assert first.min() > second.min() + 20


def test_a_table_without_rows_or_with_too_many_says_so():
    empty, full = drawing.table([], ["a"]), drawing.table([["x"]] * 1000, ["a"])
    assert empty.shape[0] == 2 * M + 2 * 22
    assert full.shape[0] == 2 * M + (1 + 400 + 1) * 22


# ---- points


def test_a_point_lies_where_it_belongs_up_is_more():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.5]])
    picture = drawing.scatter(points, side=200, colours=[0, 1, 2])
    places = [np.array(curve_pixels(picture, at)).mean(axis=1) for at in range(3)]
    assert places[1][1] - places[0][1] == pytest.approx(182, abs=1)  # the wider side fills the square but its border
    assert places[0][0] - places[2][0] == pytest.approx(91, abs=1)  # one unit is as long up as across
    assert places[0][0] == places[1][0]


def test_points_without_a_class_are_gray_and_the_legend_names_those_that_occur():
    picture = drawing.scatter(np.eye(2), classes=["a", "b", "c"], colours=[1, -1], side=100)
    assert has(picture, paper.FAINT)
    assert has(picture, colour_of(1))
    assert not has(picture, colour_of(0))
    assert picture.shape[0] == 2 * M + 100 + paper.LINE + GAP
    assert (picture[-M - 12 :] == np.array(colour_of(1), np.uint8)).all(axis=-1).sum() == 81  # its square


def test_small_pictures_never_cover_one_another():
    points = rng.normal(size=(300, 2))
    shown = [np.full((6, 6), at % 200 + 20, np.uint8) for at in range(300)]
    picture = drawing.scatter(points, thumbnails=shown, side=400)
    gray = (picture[..., 0] == picture[..., 1]) & (picture[..., 1] == picture[..., 2]) & (picture[..., 0] < 220)
    values, counts = np.unique(picture[..., 0][gray], return_counts=True)
    whole = (20 - 2 * 3) ** 2
    assert picture[..., 0][gray].size > 20 * whole
    kept = {int(value): int(count) for value, count in zip(values, counts, strict=True) if count >= whole}
    assert all(count % whole == 0 for count in kept.values())
    assert sum(kept.values()) == gray.sum()  # none is covered in part


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        np.full((3, 2), np.nan),
        np.zeros((5, 2), np.int64),  # all at one place
        np.array([[0, np.inf], [1, 2]]),
        np.array([[-1.7e308, 1.7e308], [1.7e308, 0]]),
        np.full((2, 2), 5e-324),
    ],
    ids=["none", "nan", "one place", "infinite", "huge", "tiny"],
)
def test_odd_points_are_drawn(points):
    shown = [np.zeros((3, 3), np.uint8)] * len(points)
    for thumbnails in ((), shown):
        assert drawing.scatter(points, thumbnails=thumbnails, side=60).shape == (60 + 2 * M, 60 + 2 * M, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"points": np.zeros((3, 3))}, "points"),
        ({"points": np.zeros(3)}, "points"),
        ({"points": np.zeros((3, 2)), "colours": [1]}, "colours"),
        ({"points": np.zeros((1, 2)), "thumbnails": [np.zeros((2, 2))]}, "thumbnail 1"),
        ({"points": np.zeros((1, 2)), "side": 0}, "side"),
    ],
)
def test_what_are_no_points_is_refused(arguments, words):
    with pytest.raises(LensmithError, match=words):
        drawing.scatter(**arguments)


def test_the_same_is_drawn_again_and_nothing_given_is_changed():
    values, image = rng.normal(size=(6, 5)), rng.integers(0, 255, (9, 8, 3), np.uint8)
    values.flags.writeable = image.flags.writeable = False
    points = rng.normal(size=(9, 2))

    def drawn():
        return [
            drawing.grid([image, drawing.signed(values)], ["a", "b"], title="t"),
            drawing.beside([drawing.overlaid(image, values), drawing.coloured(values, bar=True)]),
            drawing.bars({"a": np.histogram(values)}),
            drawing.lines({"a": values[0]}),
            drawing.scatter(points, thumbnails=[image] * 9, classes=["a"], colours=[0] * 9),
            drawing.table([["a"]], ["b"]),
        ]

    assert all((one == other).all() for one, other in zip(drawn(), drawn(), strict=True))
