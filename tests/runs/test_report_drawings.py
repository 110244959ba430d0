"""Charts, the diagram, the matrix and pictures: what they show, and that they stay sound at the edges."""

import base64
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensmith.compose import Part
from lensmith.runs.report import charts, gradients, matrix, pictures, svg, wording
from lensmith.runs.report.axes import Scale, labels, ticks
from lensmith.runs.report.diagram import diagram


def parsed(drawing):
    return ET.fromstring(str(drawing))


def history(epochs, **columns):
    return tuple({"epoch": e + 1, **{name: column(e) for name, column in columns.items()}} for e in range(epochs))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.93, 0.998, (0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0)),
        (-3, 40, (-10.0, 0.0, 10.0, 20.0, 30.0, 40.0)),
        (5, 5, (4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6)),  # no extent: widened by a tenth
        (0, 0, (-0.1, -0.05, 0.0, 0.05, 0.1)),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


def test_tick_labels_tell_neighbours_apart():
    assert labels(ticks(1234.1, 1234.5))[:2] == ("1,234.1", "1,234.2")
    assert labels((0.985, 0.99, 0.995), percent=True) == ("98.5\u202f%", "99.0\u202f%", "99.5\u202f%")
    assert labels((0.0, 2e-7)) == ("0", "2e-07")
    assert labels((1,)) == ("1",)


def test_ticks_of_epochs_stay_inside():
    assert ticks(1, 3, 6, whole=True) == (1.0, 2.0, 3.0)
    assert ticks(1, 1, 6, whole=True) == (1,)
    assert ticks(1, 100, 6, whole=True) == (20.0, 40.0, 60.0, 80.0, 100.0)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_cover_the_range_and_are_few(low, extent):
    marks = ticks(low, low + extent)
    assert marks[0] <= low + 1e-3 * extent
    assert marks[-1] >= low + extent * (1 - 1e-3)
    assert len(marks) <= 12


def test_scale_on_paper():
    across = Scale(0, 10, 100, 300)
    assert (across(0), across(5), across(10)) == (100, 200, 300)
    assert Scale(1, 1, 100, 300)(1) == 200  # a single epoch stands in the middle


def test_a_chart_for_the_loss_first_then_every_metric_then_a_changing_rate():
    rows = history(4, accuracy=lambda e: 0.5, loss=lambda e: 1.0, val_loss=lambda e: 2.0, rate=lambda e: 0.1 / (e + 1))
    drawn = charts.curves(rows, 2)
    assert [chart.title for chart in drawn] == ["loss", "accuracy", "learning rate"]
    assert [line.name for line in drawn[0].lines] == ["training", "validation"]
    assert [(line.style, line.shown) for line in drawn[1].lines] == [("main", "50.0\u202f%")]
    constant = history(4, loss=lambda e: 1.0, rate=lambda e: 0.1)
    assert [chart.title for chart in charts.curves(constant, None)] == ["loss"]


def test_a_line_breaks_where_a_value_is_missing_and_lone_values_get_a_dot():
    values = [1.0, None, 2.0, None, 3.0, float("nan"), 4.0]
    drawing = parsed(charts.curves(history(7, loss=lambda e: values[e]), None)[0].drawing)
    path = next(element for element in drawing.iter("path"))
    assert path.get("d").count("M") == 4
    assert "L" not in path.get("d")
    assert len(list(drawing.iter("circle"))) == 4


def test_the_best_epoch_is_marked_once_with_its_value_beside_the_title():
    rows = history(60, loss=lambda e: 60.0 - e, val_loss=lambda e: abs(e - 39.0))
    chart = charts.curves(rows, 40)[0]
    drawing = parsed(chart.drawing)
    assert [line.shown for line in chart.lines] == ["21", "0"]
    assert [element.text for element in drawing.iter("text")].count("best epoch") == 1
    assert [title.text for title in drawing.iter("title")] == ["epoch 40: training 21", "epoch 40: validation 0"]


def test_a_stage_begins_between_two_epochs():
    rows = [
        {**row, "stage": stage}
        for row, stage in zip(history(5, loss=lambda e: 1.0 / (e + 1)), (1, 1, 2, 2, 4), strict=True)
    ]
    assert charts.stage_borders(rows) == ((2.5, "stage 2"), (4.5, "stage 4"))
    assert charts.stage_borders(history(3, loss=lambda e: 1.0)) == ()
    drawing = parsed(charts.curves(rows, 2)[0].drawing)
    borders = [one for one in drawing.iter() if one.get("class") == "border"]
    assert [float(one.get("x1")) for one in borders] == [226.0, 450.0]  # 58 + 448 · 1.5 / 4 and 3.5 / 4
    assert not charts.stage_borders([])


def look(epoch, *pairs):
    layers = [{"name": f"layer{at}", "gradient": up, "weights": down} for at, (up, down) in enumerate(pairs)]
    return {"epoch": epoch, "steps": {}, "seen": {"layers": layers}}


def test_gradients_by_layer_on_powers_of_ten():
    drawn = gradients.by_layer([look(1, (1e-4, 10), (0.0, 1), (2, 20)), {"epoch": 2, "seen": None}])
    [line] = drawn.lines
    assert line.values == (pytest.approx(-5), None, pytest.approx(-1))
    ticks_ = [one.text for one in parsed(drawn.drawing).iter() if one.get("class") == "tick end"]
    assert ticks_ == ["1e-05", "0.0001", "0.001", "0.01", "0.1", "layer2"]


def test_gradients_by_layer_of_the_first_and_last_look_at_the_same_layers():
    looks = [look(1, (1, 1)), look(2, (1, 1), (1, 2)), look(3, (1, 1), (1, 3)), look(5, (1, 1), (1, 100))]
    drawn = gradients.by_layer(looks)
    assert [line.name for line in drawn.lines] == ["before epoch 2", "before epoch 5"]
    assert [line.style for line in drawn.lines] == ["aside", "main"]
    assert gradients.by_layer([]) is None
    assert gradients.by_layer(looks[:1]) is None  # one layer is beside no other
    assert gradients.by_layer([look(1, (0, 1), (None, 1))]) is None
    assert gradients.by_layer([look(1, (1, 1), (1, 1))]) is not None  # no range at all


def test_only_missing_values_still_make_a_chart():
    assert parsed(charts.curves(history(2, loss=lambda e: None), 1)[0].drawing).tag == "svg"


def test_a_long_history_is_thinned_and_keeps_its_best_and_last():
    rows = history(10_001, loss=lambda e: 1.0 / (e + 1))
    kept = charts.thin(rows, 1234)
    assert len(kept) < 420
    assert {1, 1234, 10_001} <= {row["epoch"] for row in kept}
    assert len(charts.curves(rows, 1234)[0].drawing) < 10_000


def test_scatter_draws_every_point_up_to_a_limit():
    truth = np.linspace(0, 1, 300)
    assert len(list(parsed(charts.scatter(truth, truth, "price")).iter("circle"))) == 300
    many = np.linspace(0, 1, 20_000)
    assert 400 <= len(list(parsed(charts.scatter(many, many, "price")).iter("circle"))) <= 500
    lost = np.array([np.nan, 1.0])
    assert len(list(parsed(charts.scatter(lost, lost, "price")).iter("circle"))) == 1
    assert not list(parsed(charts.scatter(lost[:0], lost[:0], "price")).iter("circle"))


def parts(groups, tasks):
    trunk = [Part("input", 1, (64, 64, 3), 0, 0, "")]
    trunk += [Part(f"learner-group{i}", 4, (64 // i, 64 // i, 8 * i), 1000 * i, 900, "1 Conv2D") for i in groups]
    return (*trunk, *(Part(f"task-{name}", 2, (10,), 90, 90, "1 Dense") for name in tasks))


@pytest.mark.parametrize(
    ("groups", "tasks"),
    [
        (range(1, 5), ["label"]),  # one row
        (range(1, 3), ["species", "quality", "age"]),  # tasks fan out
        (range(1, 14), ["a", "b"]),  # a second row
        (range(1, 8), []),  # no task: a learner alone
        ([], ["label"]),  # input and task alone
        (range(1, 3), [f"trait{i}" for i in range(12)]),  # many tasks
    ],
)
def test_the_diagram_holds_every_part_once_and_none_overlap(groups, tasks):
    outline = parts(groups, tasks)
    drawing = parsed(diagram(outline))
    boxes = [element for element in drawing.iter("rect") if element.get("class").startswith("box")]
    assert len(boxes) == len(outline)
    _, _, width, height = (float(size) for size in drawing.get("viewBox").split())
    areas = [tuple(float(box.get(key)) for key in ("x", "y", "width", "height")) for box in boxes]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in areas)
    apart = [
        a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        for i, a in enumerate(areas)
        for b in areas[:i]
    ]
    assert all(apart)
    assert width <= 1064  # fits the page


def test_the_diagram_says_shape_and_parameters():
    words = [element.text for element in parsed(diagram(parts([1, 2], ["label"]))).iter("text")]
    assert words[:3] == ["input", "64×64×3", "no parameters"]
    assert "group 2" in words
    assert "32×32×16" in words
    assert "2,000 parameters" in words


def test_a_diagram_of_odd_shapes():
    odd = (
        SimpleNamespace(name="input", shape=(), parameters=0, detail=""),
        SimpleNamespace(name="learner", shape=(7, 3), parameters=3, detail="1 <LSTM>"),
        SimpleNamespace(name="task-" + "x" * 40, shape=(100_000,), parameters=10**10, detail=""),
    )
    assert parsed(diagram(odd)).tag == "svg"


def test_matrix_heat_is_the_share_of_the_row():
    rows = matrix.cells(np.array([[3, 1], [0, 0]]))
    assert [(cell.count, cell.heat, cell.style) for cell in rows[0]] == [(3, 0.75, "right"), (1, 0.5, "wrong")]
    assert [cell.style for cell in rows[1]] == ["none", "none"]  # a class without examples


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_small_picture_is_kept_pixel_by_pixel(channels):
    image = np.random.default_rng(0).integers(0, 256, (8, 6, channels), np.uint8)
    address = pictures.data_uri(pictures.thumbnail(image))
    prefix, data = address.split(",")
    assert prefix == "data:image/png;base64"
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if channels in (1, 2):
        np.testing.assert_array_equal(back, image[:, :, 0])
    else:
        np.testing.assert_array_equal(back[:, :, [2, 1, 0, 3][:channels]], image)


@pytest.mark.parametrize("shape", [(512, 256, 3), (300, 4000, 1), (1, 5000, 4)])
def test_a_large_picture_is_made_small_and_keeps_its_form(shape):
    small = pictures.thumbnail(np.zeros(shape, np.uint8))
    assert max(small.shape[:2]) == pictures.LARGEST
    assert small.shape[2] == shape[2]
    assert not pictures.is_tiny(small)
    assert pictures.is_tiny(np.zeros((28, 28, 1), np.uint8))


def test_svg_escapes_words_and_attributes():
    drawn = svg.element("text", {"class": 'a"b'}, "<script>")
    assert drawn == '<text class="a&#34;b">&lt;script&gt;</text>'


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (999, "999"),
        (9_999, "9,999"),
        (10_000, "10\u202fk"),
        (999_999, "1\u202fM"),
        (138_357_544, "138\u202fM"),
    ],
)
def test_short_counts(value, words):
    assert wording.short(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0\u202f%"),
        (1.0, "100\u202f%"),
        (0.9999, "99.99\u202f%"),
        (1e-7, "<0.1\u202f%"),
        (0.125, "12.5\u202f%"),
        (None, "–"),
    ],
)
def test_shares(value, words):
    assert wording.share(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0\u202fs"),
        (9.94, "9.9\u202fs"),
        (59.9, "1\u202fmin 0\u202fs"),
        (3599.9, "1\u202fh 0\u202fmin"),
        (None, "–"),
    ],
)
def test_durations(seconds, words):
    assert wording.duration(seconds) == words
