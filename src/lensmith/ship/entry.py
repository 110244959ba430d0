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

# The same between the two nearest pixels, as OpenCV has it for whole levels: positions are rounded to float32, and the
# weights of each pair to 11 bits.
_LINEAR_TAPS = """
<domain: "lensmith", opset_import: ["": OPSET]>
linear_taps (before, after, unit) => (first, second, near, far)
{
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    half = Constant <value = double {0.5}> ()
    whole = Constant <value = double {1.0}> ()
    bits = Constant <value = float {2048.0}> ()
    one_float = Constant <value = float {1.0}> ()
    to = Range(zero, after, one)
    to_double = Cast <to = 11> (to)
    before_double = Cast <to = 11> (before)
    after_double = Cast <to = 11> (after)
    grown = Div(after_double, before_double)
    scale = Div(whole, grown)
    to_middle = Add(to_double, half)
    to_scaled = Mul(to_middle, scale)
    centre_double = Sub(to_scaled, half)
    centre = Cast <to = 1> (centre_double)
    floor = Floor(centre)
    share = Sub(centre, floor)
    rest = Sub(one_float, share)
    near_bits = Mul(rest, bits)
    far_bits = Mul(share, bits)
    near_whole = Round(near_bits)
    far_whole = Round(far_bits)
    near = Mul(near_whole, unit)
    far = Mul(far_whole, unit)
    pixel = Cast <to = 7> (floor)
    next = Add(pixel, one)
    border = Sub(before, one)
    first = Clip(pixel, zero, border)
    second = Clip(next, zero, border)
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

_IMAGES_LINEAR = """
<ir_version: 10, opset_import: ["": OPSET, "lensmith": 1]>
preprocess (uint8[batch, height, width, CHANNELS] images) => (float[batch, HEIGHT, WIDTH, CHANNELS] scaled)
<int64 new_height = {HEIGHT}, int64 new_width = {WIDTH}, int64[2] column = {-1, 1}, int64[2] pixels = {WIDTH, CHANNELS},
 int64[1] flat = {-1}, int64[3] as_rows = {0, HEIGHT, -1}, int64[4] as_image = {0, HEIGHT, WIDTH, CHANNELS},
 float across_unit = {0.0625}, float down_unit = {0.0000152587890625}, float quarter = {0.25}, float half = {0.5},
 int64[CHANNELS] order = {ORDER}>
{
    size = Shape(images)
    axis_1 = Constant <value_int = 1> ()
    axis_2 = Constant <value_int = 2> ()
    old_height = Gather(size, axis_1)
    old_width = Gather(size, axis_2)
    top, bottom, top_weight, bottom_weight = lensmith.linear_taps(old_height, new_height, down_unit)
    left, right, left_weight, right_weight = lensmith.linear_taps(old_width, new_width, across_unit)

    # A factor for each number of a row, so that whole rows are multiplied at once.
    left_column = Reshape(left_weight, column)
    left_pixels = Expand(left_column, pixels)
    left_factor = Reshape(left_pixels, flat)
    right_column = Reshape(right_weight, column)
    right_pixels = Expand(right_column, pixels)
    right_factor = Reshape(right_pixels, flat)
    top_factor = Reshape(top_weight, column)
    bottom_factor = Reshape(bottom_weight, column)

    # OpenCV's own steps for whole levels, first across, then down: each sum loses its last bits as it does there. Its
    # shifts by 4 and by 16 bits stand in the weights.
    upper = Gather <axis = 1> (images, top)
    upper_left = Gather <axis = 2> (upper, left)
    upper_right = Gather <axis = 2> (upper, right)
    upper_left_rows = Reshape(upper_left, as_rows)
    upper_right_rows = Reshape(upper_right, as_rows)
    upper_left_float = Cast <to = 1> (upper_left_rows)
    upper_right_float = Cast <to = 1> (upper_right_rows)
    upper_near = Mul(upper_left_float, left_factor)
    upper_far = Mul(upper_right_float, right_factor)
    upper_sum = Add(upper_near, upper_far)
    upper_row = Floor(upper_sum)
    lower = Gather <axis = 1> (images, bottom)
    lower_left = Gather <axis = 2> (lower, left)
    lower_right = Gather <axis = 2> (lower, right)
    lower_left_rows = Reshape(lower_left, as_rows)
    lower_right_rows = Reshape(lower_right, as_rows)
    lower_left_float = Cast <to = 1> (lower_left_rows)
    lower_right_float = Cast <to = 1> (lower_right_rows)
    lower_near = Mul(lower_left_float, left_factor)
    lower_far = Mul(lower_right_float, right_factor)
    lower_sum = Add(lower_near, lower_far)
    lower_row = Floor(lower_sum)
    top_product = Mul(upper_row, top_factor)
    top_whole = Floor(top_product)
    bottom_product = Mul(lower_row, bottom_factor)
    bottom_whole = Floor(bottom_product)
    both = Add(top_whole, bottom_whole)
    quarters = Mul(both, quarter)
    rounded = Add(quarters, half)
    levels = Floor(rounded)
    resized = Reshape(levels, as_image)
    ordered = Gather <axis = 3> (resized, order)
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
    linear = preprocessing.resize == "linear"
    images = _IMAGES_LINEAR + _LINEAR_TAPS if linear else _IMAGES + _RESIZE_TAPS
    text = images if size else _ROWS
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
    if linear and not preprocessing.turned:  # what would change nothing takes time nevertheless
        text = text.replace("ordered = Gather <axis = 3> (resized, order)", "ordered = Identity(resized)")
    if linear and not preprocessing.affine()[1].any():
        text = text.replace("scaled = Add(multiplied, offset)", "scaled = Identity(multiplied)")
    # Runtimes vary in how well they take functions; inlined, none is left.
    model = inliner.inline_local_functions(parser.parse_model(text))
    del model.opset_import[1:]
    for name, array in zip(("multiplier", "offset"), preprocessing.affine(), strict=True):
        column = array[:, None] if size and not linear else array  # channels stand before the height there
        if linear and (array == array[0]).all():
            column = array[:1].reshape(())  # one number for all is multiplied faster than a row of three
        model.graph.initializer.append(numpy_helper.from_array(column, name))
    used = {name for node in model.graph.node for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model
