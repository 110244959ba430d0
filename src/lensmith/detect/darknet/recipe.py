"""A Darknet network as a recipe: its layers as a learner, and what its last ones are for as a task."""

from __future__ import annotations

from collections.abc import Sequence

from lensmith import check
from lensmith.compose import Classify, Recipe
from lensmith.compose.detection.tasks import YoloMaps, YoloOutput, YoloV1
from lensmith.compose.layers import Conventions
from lensmith.compose.learners import LayerGraph
from lensmith.compose.learners.layer_graph import layer_name
from lensmith.data.preprocess import Preprocessing
from lensmith.detect.darknet.cfg import Cfg, Section
from lensmith.detect.darknet.cfg_layers import input_shape, steps
from lensmith.detect.darknet.cfg_makers import Shape, Step, written

# What OpenCV adds to the variance; Darknet adds it to the deviation, on its CPUs.
CONVENTIONS = Conventions(epsilon=1e-6)
_HEADS = ("yolo", "region", "detection", "softmax")
_MOST_CLASSES = 100_000

Head = YoloMaps | YoloV1 | Classify


def recipe(cfg: Cfg, names: Sequence[str] | None = None) -> Recipe:
    """The recipe of a network that finds objects (task ``objects``) or says what an image shows (task ``label``).

    Its model takes images of the size in ``[net]``, RGB with pixels 0..1 (see :func:`preprocessing`). The learner is a
    :class:`.LayerGraph` whose layers have the numbers that Darknet gives them.

    Args:
        cfg: what :func:`.cfg.read` gave.
        names: of the classes, where they are at hand: they have to be as many as the network has.

    Raises:
        DataError: a layer does not fit, or the network is for something else; names the line.

    >>> from lensmith.detect.darknet.cfg import parse
    >>> text = "[net]\\nwidth=8\\nheight=8\\nchannels=3\\n[conv]\\nfilters=2\\n[avgpool]\\n[softmax]\\n"
    >>> recipe(parse(text)).count()
    (8, 8)
    """
    made = steps(cfg)
    task = _head(cfg, made)
    if names is not None and len(names) != task.classes:
        expected = f"{task.classes:,} name{'s' * (task.classes != 1)}, as the network has classes"
        raise check.DataError(check.sentence(f"the names for {cfg.file}", expected, f"{len(names):,}"))
    kind = "label" if isinstance(task, Classify) else "objects"
    return Recipe(input_shape(cfg), None, _graph(made), {kind: task}, CONVENTIONS)


def graph(cfg: Cfg) -> LayerGraph:
    """The layers alone, also of a network that is for nothing but its features.

    Raises:
        DataError: as for :func:`.cfg_layers.steps`.
    """
    return _graph(steps(cfg))


def preprocessing(cfg: Cfg) -> Preprocessing:
    """What happens to an image before the network sees it: its size, RGB, pixels 0..1.

    Images are resized linearly, as Darknet and OpenCV's reader do it, so that the same is found as there.

    Raises:
        DataError: as for :func:`.cfg_layers.input_shape`.
    """
    return Preprocessing(image=input_shape(cfg), scaling="0..1", resize="linear")


def _graph(made: Sequence[Step]) -> LayerGraph:
    outputs = tuple(i for i, step in enumerate(made) if step.section.kind in ("yolo", "region"))
    return LayerGraph(tuple(step.record for step in made), outputs)


def _head(cfg: Cfg, made: tuple[Step, ...]) -> Head:
    heads = [(i, step) for i, step in enumerate(made) if step.section.kind in _HEADS]
    if not heads:
        expected = "[yolo], [region], [detection] or [softmax], which say what the network is for"
        raise check.DataError(check.sentence(cfg.file, expected, "none of them"))
    kinds = {step.section.kind for _, step in heads}
    last = heads[-1][1]
    if len(kinds) > 1 or (len(heads) > 1 and kinds != {"yolo"}):
        first = heads[0][1].section
        expected = f"no further end beside [{first.kind}] of line {first.line}"
        raise last.section.wrong("", expected, f"[{last.section.kind}]")
    if kinds == {"softmax"}:
        return _classify(last, made[-1])
    if kinds == {"detection"}:
        return _first(last)
    return _maps(cfg, heads)


def _classify(step: Step, last: Step) -> Classify:
    section, shape = step.section, step.shape
    if last is not step and last.section.kind != "cost":
        raise last.section.wrong("", "the end of the file, or [cost], after [softmax]", f"[{last.section.kind}]")
    if len(shape) == 3 and shape[:2] != (1, 1):
        raise section.wrong("", "one number for each class", written(shape), "Put [avgpool] before it")
    if not 2 <= shape[-1] <= _MOST_CLASSES:
        raise section.wrong("", f"2 to {_MOST_CLASSES:,} classes", shape[-1])
    return Classify(shape[-1], pool="given")


def _classes(section: Section, default: int) -> int:
    return section.whole("classes", default, 1, _MOST_CLASSES)


def _first(step: Step) -> YoloV1:
    """The head of YOLO v1."""
    section = step.section
    classes, grid = _classes(section, 1), section.whole("side", 7, 1, 1024)
    boxes = section.whole("num", 1, 1, 1024)
    wanted = grid**2 * (classes + 5 * boxes)
    if step.shape != (wanted,):
        expected = f"a row of {grid}·{grid}·({classes} + 5·{boxes}) = {wanted:,} numbers from the layer before"
        raise section.wrong("", expected, written(step.shape))
    sqrt, softmax = section.whole("sqrt", 0) != 0, section.whole("softmax", 0) != 0
    return YoloV1(classes, grid, boxes, sqrt=sqrt, softmax=softmax, given=True)


def _maps(cfg: Cfg, heads: Sequence[tuple[int, Step]]) -> YoloMaps:
    """The heads of YOLO v2 and v3."""
    first = heads[0][1].section
    classes = _classes(first, 20)
    outputs = tuple(_output(i, step, classes, input_shape(cfg)) for i, step in heads)
    softmax = first.kind == "region" and first.whole("softmax", 0) != 0
    return YoloMaps(classes, outputs, softmax=softmax)


def _output(number: int, step: Step, classes: int, source: Shape) -> YoloOutput:
    section = step.section
    if "tree" in section.settings:
        raise section.wrong("tree", "classes beside each other", "a tree of classes, which cannot be had here")
    if _classes(section, 20) != classes:
        raise section.wrong("classes", f"{classes}, as in the other layers of its kind", _classes(section, 20))
    if len(step.shape) != 3:
        raise section.wrong("", "feature maps from the layer before", written(step.shape))
    anchors = _anchors(section)
    if section.kind == "region":  # in cells of its map, not in pixels
        across, down = source[1] / step.shape[1], source[0] / step.shape[0]
        anchors = tuple((width * across, height * down) for width, height in anchors)
    wanted = len(anchors) * (5 + classes)
    if step.shape[2] != wanted:
        expected = f"{len(anchors)}·(5 + {classes}) = {wanted} filters in the layer before"
        raise section.wrong("", expected, step.shape[2])
    return YoloOutput(layer_name(number), anchors, _scale(section))


def _anchors(section: Section) -> tuple[tuple[float, float], ...]:
    count, sides = section.whole("num", 1, 1, 1024), section.numbers("anchors")
    if len(sides) != 2 * count:
        raise section.wrong("anchors", f"{2 * count} numbers, as num is {count}", len(sides))
    if not all(0 < side <= 1e6 for side in sides):
        raise section.wrong("anchors", "widths and heights above 0 and up to a million", min(sides))
    pairs = tuple(zip(sides[::2], sides[1::2], strict=True))
    mask = section.wholes("mask") or tuple(range(count))
    if any(not 0 <= place < count for place in mask):
        raise section.wrong("mask", f"anchors 0 to {count - 1}", section.text("mask", ""))
    return tuple(pairs[place] for place in mask)


def _scale(section: Section) -> float:
    scale = section.number("scale_x_y", 1.0)
    if not 1 <= scale <= 4:
        raise section.wrong("scale_x_y", "a number from 1 to 4", section.text("scale_x_y", ""))
    return scale
