"""The entry of an artifact: the preprocessing of :mod:`lensmith.data`, written as ONNX.

It is written out by hand, in ONNX's own text form, rather than traced from code: so it is the same whatever
backend the network comes from, and it can be read here as it will run. Only basic operators are used, and the
weights of the resize are computed inside from the size of the image that comes in.
"""

from __future__ import annotations

from typing import Any

from lensmith.data import Preprocessing

OPSET = 18  # the version of ONNX's operators; the oldest that torch writes, so that most runtimes take it
SIZE_LIMIT = 8192  # pixels, the longest side of an image an artifact takes
INPUTS = ("images", "rows")
SCALED = "scaled"  # the output: what enters the network

# Whole numbers until the last division, so that no position is rounded: as good as the float64 of
# lensmith.data.resize_matrix, with operators that every runtime has.
_RESIZE_MATRIX = """
<domain: "lensmith", opset_import: ["": OPSET]>
resize_matrix (before, after) => (matrix)
{
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    last = Constant <value_ints = [-1]> ()
    second = Constant <value_ints = [1]> ()

    # Area averaging of `before` pixels into `between`, in steps of 1/between of a pixel. Where the axis does
    # not shrink, between = before and this is the identity.
    between = Min(before, after)
    to_range = Range(zero, between, one)
    to = Unsqueeze(to_range, last)
    to_start = Mul(to, before)
    to_end = Add(to_start, before)
    from = Range(zero, before, one)
    from_start = Mul(from, between)
    from_end = Add(from_start, between)
    start = Max(to_start, from_start)
    end = Min(to_end, from_end)
    length = Sub(end, start)
    overlap = Max(length, zero)
    overlap_float = Cast <to = 1> (overlap)
    before_float = Cast <to = 1> (before)
    area = Div(overlap_float, before_float)

    # Cubic interpolation of `between` pixels into `after`, in steps of 1/(2 after) of a pixel. Where the axis
    # does not grow, between = after and this is the identity.
    steps = Mul(after, two)
    grown_range = Range(zero, after, one)
    grown = Unsqueeze(grown_range, last)
    grown_twice = Mul(grown, two)
    grown_middle = Add(grown_twice, one)
    grown_scaled = Mul(grown_middle, between)
    centre = Sub(grown_scaled, after)
    centre_positive = Add(centre, steps)
    floor_positive = Div(centre_positive, steps)
    floor = Sub(floor_positive, one)
    offsets = Constant <value_ints = [-1, 0, 1, 2]> ()
    pixel = Add(floor, offsets)
    pixel_centre = Mul(pixel, steps)
    gap = Sub(centre, pixel_centre)
    gap_positive = Abs(gap)
    gap_float = Cast <to = 1> (gap_positive)
    steps_float = Cast <to = 1> (steps)
    distance = Div(gap_float, steps_float)

    # Keys' kernel with a = -3/4: (5/4 d - 9/4) d^2 + 1 up to one pixel away, ((d - 5) d + 8) d a + 3 up to two.
    a = Constant <value_float = -0.75> ()
    one_float = Constant <value_float = 1.0> ()
    three = Constant <value_float = 3.0> ()
    five = Constant <value_float = 5.0> ()
    eight = Constant <value_float = 8.0> ()
    near_slope = Constant <value_float = 1.25> ()
    near_start = Constant <value_float = 2.25> ()
    squared = Mul(distance, distance)
    near_1 = Mul(distance, near_slope)
    near_2 = Sub(near_1, near_start)
    near_3 = Mul(near_2, squared)
    near = Add(near_3, one_float)
    far_1 = Sub(distance, five)
    far_2 = Mul(far_1, distance)
    far_3 = Add(far_2, eight)
    far_4 = Mul(far_3, distance)
    far_5 = Mul(far_4, a)
    far = Add(far_5, three)
    is_near = LessOrEqual(distance, one_float)
    weight = Where(is_near, near, far)

    # Each pixel gathers the weights of the taps that fall on it; those beyond the border fall on the border.
    border = Sub(between, one)
    tap = Clip(pixel, zero, border)
    tap_column = Unsqueeze(tap, last)
    columns = Range(zero, between, one)
    on_it = Equal(tap_column, columns)
    on_it_float = Cast <to = 1> (on_it)
    weight_row = Unsqueeze(weight, second)
    gathered = MatMul(weight_row, on_it_float)
    cubic = Squeeze(gathered, second)

    matrix = MatMul(cubic, area)
}
"""

_IMAGES = """
<ir_version: 10, opset_import: ["": OPSET, "lensmith": 1]>
preprocess (uint8[batch, height, width, CHANNELS] images) => (float[batch, HEIGHT, WIDTH, CHANNELS] scaled)
<int64 new_height = {HEIGHT}, int64 new_width = {WIDTH},
 int64[3] as_rows = {0, 0, -1}, int64[4] as_images = {0, HEIGHT, -1, CHANNELS},
 float darkest = {0}, float brightest = {255}, int64[CHANNELS] order = {ORDER}>
{
    size = Shape(images)
    first = Constant <value_int = 1> ()
    second = Constant <value_int = 2> ()
    old_height = Gather(size, first)
    old_width = Gather(size, second)
    vertical = lensmith.resize_matrix(old_height, new_height)
    horizontal = lensmith.resize_matrix(old_width, new_width)

    # The height first, all columns and channels at once: one large product instead of many small ones.
    pixels = Cast <to = 1> (images)
    rows = Reshape(pixels, as_rows)
    rows_resized = MatMul(vertical, rows)
    half_resized = Reshape(rows_resized, as_images)
    resized = MatMul(horizontal, half_resized)
    clipped = Clip(resized, darkest, brightest)
    ordered = Gather <axis = 3> (clipped, order)
    multiplied = Mul(ordered, multiplier)
    scaled = Add(multiplied, offset)
}
"""

_ROWS = """
<ir_version: 10, opset_import: ["": OPSET]>
preprocess (float[batch, CHANNELS] rows) => (float[batch, CHANNELS] scaled)
{
    multiplied = Mul(rows, multiplier)
    scaled = Add(multiplied, offset)
}
"""


def entry(preprocessing: Preprocessing) -> Any:
    """An ONNX model that preprocesses a batch as ``preprocessing`` does one example.

    Args:
        preprocessing: for images, the input is ``images``, uint8 of shape ``(batch, height, width, channels)``
            with any batch, height and width; for rows it is ``rows``, float32 of shape ``(batch, columns)``.

    Returns:
        An ``onnx.ModelProto`` whose one output, ``scaled``, is float32 of the shape that enters the network.
    """
    from onnx import inliner, numpy_helper, parser

    *size, channels = preprocessing.shape
    text = _IMAGES + _RESIZE_MATRIX if size else _ROWS
    order = range(channels)[::-1] if preprocessing.turned else range(channels)
    values = {
        "OPSET": OPSET,
        "CHANNELS": channels,
        "ORDER": ", ".join(map(str, order)),
        **dict(zip(("HEIGHT", "WIDTH"), size, strict=False)),
    }
    for name, value in values.items():
        text = text.replace(name, str(value))
    # Runtimes vary in how well they take functions; inlined, none is left.
    model = inliner.inline_local_functions(parser.parse_model(text))
    del model.opset_import[1:]
    for name, array in zip(("multiplier", "offset"), preprocessing.affine(), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model
