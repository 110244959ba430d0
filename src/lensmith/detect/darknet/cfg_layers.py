"""The layers of a Darknet file as records of a layer graph, with the sizes of what they give.

Every layer is checked against what comes in, before anything is built: a file from elsewhere may ask for a terabyte.
"""

from __future__ import annotations

from collections.abc import Sequence

from lensmith import check
from lensmith.detect.darknet.cfg import Cfg, Section
from lensmith.detect.darknet.cfg_keys import NEVER, ONLY
from lensmith.detect.darknet.cfg_makers import ENDS, MAKERS, WINDOW, Shape, Step, check_numbers

MOST_SIDE = 16_384  # pixels of the input
MOST_FLOATS = 2**30  # of a network's weights: 4 GiB; the largest published file has 0.27 · 10⁹


def input_shape(cfg: Cfg) -> tuple[int, int, int]:
    """Height, width and channels of the images that a network takes.

    Raises:
        DataError: ``[net]`` does not name them, or too large ones.
    """
    net = cfg.net
    missing = [key for key in ("height", "width", "channels") if key not in net.settings]
    if missing:
        got = f"none of {' and '.join(missing)}" if len(missing) > 1 else f"no {missing[0]}"
        raise net.wrong("", "the height, width and channels of images", got)
    height, width = (net.whole(key, 0, 1, MOST_SIDE) for key in ("height", "width"))
    shape = (height, width, net.whole("channels", 3, 1, 1024))
    check_numbers(net, shape)
    return shape


def steps(cfg: Cfg) -> tuple[Step, ...]:
    """The layers of a network, each checked against those before it.

    Raises:
        DataError: a setting is no number or out of range, a layer that is named does not exist, sizes do not fit or
            are absurd; names the line.
    """
    shape: Shape = input_shape(cfg)
    made: list[Step] = []
    for section in cfg.sections:
        _check_only(section)
        _check_follows(section, made)
        result = MAKERS[section.kind](section, shape, made)
        made.append(Step(section, result.record, shape, result.shape, result.floats))
        shape = result.shape
        check_numbers(section, shape)
        if result.floats > MOST_FLOATS:
            raise _heavy(section)
    if sum(step.floats for step in made) > MOST_FLOATS:
        raise _heavy(cfg.net)
    return tuple(made)


def _heavy(section: Section) -> check.DataError:
    return section.wrong("", f"at most {MOST_FLOATS:,} weights", "more")


def _check_only(section: Section) -> None:
    """Refuse settings that would change the result and cannot be had."""
    for key, value in ONLY.get(section.kind, {}).items():
        if section.number(key, value) != value:
            raise section.wrong(key, f"{value:g}, or no such setting", section.text(key, ""))
    for key in NEVER.get(section.kind, ()):
        if key in section.settings:
            raise section.wrong(key, "no such setting", section.text(key, ""))
    stride = section.whole("stride", 1, 1, WINDOW) if section.kind in ("convolutional", "maxpool") else 1
    for key in ("stride_x", "stride_y"):
        if key in section.settings and section.whole(key, stride) != stride:
            raise section.wrong(key, f"the same as stride, {stride}", section.text(key, ""))


def _check_follows(section: Section, before: Sequence[Step]) -> None:
    """Refuse a layer that would read what a loss or a detector's layer gives."""
    if not before or before[-1].section.kind not in ENDS or section.kind in ("route", "cost"):
        return
    last = before[-1].section
    expected = f"[route] after [{last.kind}] of line {last.line}, or the end of the file"
    raise section.wrong("", expected, f"[{section.kind}]")
