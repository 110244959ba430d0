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

# Which pixels along one axis a pixel of the result is made of, and how much each weighs: few, however large the image
# is, so that they are gathered and no large matrix is multiplied. Whole numbers until the last division, so that no
# position is rounded: as good as the float64 of lensmith.data.resize_matrix, with operators that every runtime has.
_RESIZE_TAPS = """
<domain: "lensmith", opset_import: ["": OPSET]>
resize_taps (before, after) => (index, weight)
{
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    four = Constant <value_int = 4> ()
    last = Constant <value_ints = [-1]> ()
    second = Constant <value_ints = [1]> ()
    to_range = Range(zero, after, one)
    to = Unsqueeze(to_range, last)
    shrinks = GreaterOrEqual(before, after)

    # Area averaging, where the axis shrinks, in steps of 1/after of a pixel. (Where it stays, this is the identity.)
    to_start = Mul(to, before)
    to_end = Add(to_start, before)
    area_first = Div(to_start, after)
    before_less = Sub(before, one)
    whole_more = Div(before_less, after)
    area_count = Add(whole_more, two)

    # Cubic interpolation, where it grows, in steps of 1/(2 after) of a pixel.
    steps = Mul(after, two)
    to_twice = Mul(to, two)
    to_middle = Add(to_twice, one)
    to_scaled = Mul(to_middle, before)
    centre = Sub(to_scaled, after)
    centre_positive = Add(centre, steps)
    floor_positive = Div(centre_positive, steps)
    cubic_first = Sub(floor_positive, two)

    first = Where(shrinks, area_first, cubic_first)
    count = Where(shrinks, area_count, four)
    offsets = Range(zero, count, one)
    pixel = Add(first, offsets)

    # The share of each pixel in the area; pixels beyond it have none.
    pixel_start = Mul(pixel, after)
    pixel_end = Add(pixel_start, after)
    start = Max(to_start, pixel_start)
    end = Min(to_end, pixel_end)
    length = Sub(end, start)
    overlap = Max(length, zero)
    overlap_float = Cast <to = 1> (overlap)
    before_float = Cast <to = 1> (before)
    area = Div(overlap_float, before_float)

    # Keys' kernel with a = -3/4: (5/4 d - 9/4) d^2 + 1 up to one pixel away, ((d - 5) d + 8) d a + 3 up to two.
    pixel_centre = Mul(pixel, steps)
    gap = Sub(centre, pixel_centre)
    gap_positive = Abs(gap)
    gap_float = Cast <to = 1> (gap_positive)
    steps_float = Cast <to = 1> (steps)
    distance = Div(gap_float, steps_float)
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
    cubic = Where(is_near, near, far)

    # Those beyond the border fall on the border.
    border = Sub(before, one)
    index = Clip(pixel, zero, border)
    weight_row = Where(shrinks, area, cubic)
    weight = Unsqueeze(weight_row, second)
}
"""

# Between the two nearest pixels, in steps of 1/(2 after) of a pixel.
_LINEAR_TAPS = """
<domain: "lensmith", opset_import: ["": OPSET]>
resize_taps (before, after) => (index, weight)
{
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    last = Constant <value_ints = [-1]> ()
    second = Constant <value_ints = [1]> ()
    to_range = Range(zero, after, one)
    to = Unsqueeze(to_range, last)
    steps = Mul(after, two)
    to_twice = Mul(to, two)
    to_middle = Add(to_twice, one)
    to_scaled = Mul(to_middle, before)
    centre = Sub(to_scaled, after)
    centre_positive = Add(centre, steps)
    floor_positive = Div(centre_positive, steps)
    first = Sub(floor_positive, one)
    offsets = Range(zero, two, one)
    pixel = Add(first, offsets)
    pixel_centre = Mul(pixel, steps)
    gap = Sub(centre, pixel_centre)
    gap_positive = Abs(gap)
    gap_rest = Sub(steps, gap_positive)
    gap_float = Cast <to = 1> (gap_rest)
    steps_float = Cast <to = 1> (steps)
    weight_row = Div(gap_float, steps_float)
    border = Sub(before, one)
    index = Clip(pixel, zero, border)
    weight = Unsqueeze(weight_row, second)
}
"""

_IMAGES = """
<ir_version: 10, opset_import: ["": OPSET, "lensmith": 1]>
preprocess (uint8[batch, height, width, CHANNELS] images) => (float[batch, HEIGHT, WIDTH, CHANNELS] scaled)
<int64 new_height = {HEIGHT}, int64 new_width = {WIDTH}, int64[3] as_rows = {0, 0, -1},
 int64[4] as_image = {0, HEIGHT, -1, CHANNELS}, int64[3] as_columns = {0, -1, COLUMN},
 int64[4] as_turned = {0, WIDTH, CHANNELS, HEIGHT},
 float darkest = {0}, float brightest = {255}, int64[CHANNELS] order = {ORDER}>
{
    size = Shape(images)
    first = Constant <value_int = 1> ()
    second = Constant <value_int = 2> ()
    old_height = Gather(size, first)
    old_width = Gather(size, second)
    row_index, row_weight = lensmith.resize_taps(old_height, new_height)
    column_index, column_weight = lensmith.resize_taps(old_width, new_width)

    # The height first: whole rows are gathered, all columns and channels at once.
    rows = Reshape(images, as_rows)
    rows_gathered = Gather <axis = 1> (rows, row_index)
    rows_float = Cast <to = 1> (rows_gathered)
    rows_resized = MatMul(row_weight, rows_float)

    # Then the width, with the image turned, so that whole columns are gathered.
    half_resized = Reshape(rows_resized, as_image)
    turned = Transpose <perm = [0, 2, 3, 1]> (half_resized)
    columns = Reshape(turned, as_columns)
    columns_gathered = Gather <axis = 1> (columns, column_index)
    columns_resized = MatMul(column_weight, columns_gathered)
    resized = Reshape(columns_resized, as_turned)
    clipped = Clip(resized, darkest, brightest)
    ordered = Gather <axis = 2> (clipped, order)
    multiplied = Mul(ordered, multiplier)
    moved = Add(multiplied, offset)
    scaled = Transpose <perm = [0, 3, 1, 2]> (moved)
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
    taps = _LINEAR_TAPS if preprocessing.resize == "linear" else _RESIZE_TAPS
    text = _IMAGES + taps if size else _ROWS
    order = range(channels)[::-1] if preprocessing.turned else range(channels)
    values = {
        "OPSET": OPSET,
        "CHANNELS": channels,
        "ORDER": ", ".join(map(str, order)),
        "COLUMN": channels * (size[0] if size else 1),
        **dict(zip(("HEIGHT", "WIDTH"), size, strict=False)),
    }
    for name, value in values.items():
        text = text.replace(name, str(value))
    # Runtimes vary in how well they take functions; inlined, none is left.
    model = inliner.inline_local_functions(parser.parse_model(text))
    del model.opset_import[1:]
    for name, array in zip(("multiplier", "offset"), preprocessing.affine(), strict=True):
        column = array[:, None] if size else array  # channels stand before the height there
        model.graph.initializer.append(numpy_helper.from_array(column, name))
    return model
