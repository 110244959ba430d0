"""Why a model said what it said, as figures: the image, the heat over it, and the heat alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.images import decode
from lensmith.data.resampling import resize
from lensmith.probe import drawing
from lensmith.probe.attribution import integrated_gradients
from lensmith.probe.cam import Method, heats
from lensmith.probe.figure import Figure, file_name
from lensmith.probe.occlusion import occlusion
from lensmith.probe.subject import Example, Subject
from lensmith.probe.targets import Target
from lensmith.probe.walking import Progress
from lensmith.records import Record

HEIGHT = 224  # pixels of each picture
_STRONGEST = 99.5  # percent of the pixels whose values the colours tell apart: a few are far larger than all others


def cam_figure(
    subject: Subject,
    example: Example,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
    method: Method = "grad-cam",
) -> Figure:
    """A class activation map of one image; see :func:`lensmith.probe.cam.grad_cam`.

    Args:
        subject: the model and what it takes.
        example: a file, pixels or a record.
        layer: a tap or a layer's name; left out, the last feature maps.
        head: by name or number; left out, the first.
        target: a class, or number, by name or index; left out, the most probable.
        method: ``grad-cam`` or ``grad-cam++``.

    Returns:
        A figure with the arrays ``heat`` ``(height, width)`` of the layer's size, not scaled, and ``weights``.

    Raises:
        SettingError: there is no such layer, head or class; the layer, or the model, has no feature maps.
        DataError: the image cannot be read.

    Example:
        >>> from dataclasses import replace
        >>> from lensmith.compose import zoo
        >>> from lensmith.data import Preprocessing, bundled
        >>> model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
        >>> figure = cam_figure(Subject(model, Preprocessing(image=(8, 8, 1))), bundled("digits")[3], target=3)
        >>> figure.name, figure.arrays["heat"].shape
        ('grad-cam-label-3', (2, 2))
    """
    image = _pixels(subject, example)
    [heat] = heats(subject, subject.inputs([example]), layer=layer, head=head, target=target, method=method)
    shown = heat.scaled(image.shape[:2])
    sides = " × ".join(str(side) for side in heat.values.shape)
    pictures = [image, drawing.overlaid(image, shown), drawing.coloured(shown, 0, 1)]
    captions = [_said(heat.target, heat.probability, heat.score), "heat over the image", f"{heat.layer}, {sides}"]
    title = "Grad-CAM++" if method == "grad-cam++" else "Grad-CAM"
    note = "Where the evidence for the class lies: the brighter, the more. The brightest place is 1 in each picture."
    return Figure(
        _name(heat.method.replace("+", "-plus"), heat.target),
        f"{title}: why {heat.target.name} ({heat.target.head})",
        drawing.beside(pictures, captions, height=HEIGHT),
        {"heat": heat.values, "weights": heat.weights},
        heat.facts,
        " ".join(filter(None, [note, _sentence(heat.facts.get("remark", ""))])),
    )


def occlusion_figure(
    subject: Subject,
    example: Example,
    *,
    head: str | int | None = None,
    target: str | int | None = None,
    patch: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: float | Sequence[float] | None = None,
    progress: Progress | None = None,
) -> Figure:
    """What happens to a probability when parts are covered; see :func:`lensmith.probe.occlusion.occlusion`.

    Args:
        subject: the model and what it takes.
        example: a file, pixels or a record.
        head: by name or number; left out, the first.
        target: a class, or number, by name or index; left out, the most probable.
        patch: in pixels of the model's input; left out, an eighth of its sides.
        stride: from one patch to the next; left out, half a patch.
        fill: in the numbers that enter the model; left out, the image's mean of each channel.
        progress: is told how many patches are done, and of how many.

    Returns:
        A figure with the arrays ``drops`` ``(rows, columns)`` and ``map`` ``(height, width)`` of the model's input.

    Raises:
        SettingError: there is no such head or class, or patch and stride do not fit the image.
        DataError: the image cannot be read.
    """
    image = _pixels(subject, example)
    x = subject.inputs([example])
    found = occlusion(subject, x, target, head=head, patch=patch, stride=stride, fill=fill, progress=progress)
    largest = float(np.abs(found.values).max())
    shares = np.maximum(found.values, 0) / (largest or 1.0)
    pictures = [image, drawing.overlaid(image, shares), drawing.signed(_stretched(found.values, image), largest)]
    probability = found.whole if found.probable else None
    captions = [
        _said(found.target, probability, found.whole),
        "what it rests on",
        f"red: covered, it falls by up to {max(found.values.max(), 0):.2g}; blue: it rises",
    ]
    return Figure(
        _name("occlusion", found.target),
        f"Occlusion: why {found.target.name} ({found.target.head})",
        drawing.beside(pictures, captions, height=HEIGHT),
        {"drops": found.drops, "map": found.values},
        found.facts,
        f"How much the {found.facts['measure']} falls when a patch of {found.patch[0]} × {found.patch[1]} pixels is "
        "covered, at each pixel the mean of the patches that cover it.",
    )


def gradients_figure(
    subject: Subject,
    example: Example,
    *,
    head: str | int | None = None,
    target: str | int | None = None,
    baseline: float | np.ndarray | None = None,
    steps: int = 32,
    progress: Progress | None = None,
) -> Figure:
    """How much each pixel adds to the score; see :func:`lensmith.probe.attribution.integrated_gradients`.

    Args:
        subject: the model and what it takes.
        example: a file, pixels or a record.
        head: by name or number; left out, the first.
        target: a class, or number, by name or index; left out, the most probable.
        baseline: in the numbers that enter the model; left out, a black image.
        steps: at how many places between the two the derivative is taken.
        progress: is told how many are done, and of how many.

    Returns:
        A figure with the arrays ``values`` ``(height, width, channels)`` of the model's input and ``pixels``, their
        sum over the channels.

    Raises:
        SettingError: there is no such head or class, or the number of steps is none.
        DataError: the image cannot be read, or the baseline has another shape.
    """
    image = _pixels(subject, example)
    x = subject.inputs([example])
    if baseline is None:
        baseline = subject.preprocessing.scale(np.zeros(x.shape[1:], np.float32))
    found = integrated_gradients(subject, x, target, head=head, baseline=baseline, steps=steps, progress=progress)
    strength = np.abs(found.pixels)
    largest = float(np.percentile(strength, _STRONGEST)) or float(strength.max())
    shares = np.clip(strength / (largest or 1.0), 0, 1)
    pictures = [image, drawing.overlaid(image, shares), drawing.signed(_stretched(found.pixels, image), largest)]
    captions = [_said(found.target, None, found.score), "what it rests on", "red: speaks for it; blue: against it"]
    return Figure(
        _name("gradients", found.target),
        f"Integrated gradients: why {found.target.name} ({found.target.head})",
        drawing.beside(pictures, captions, height=HEIGHT),
        {"values": found.values, "pixels": found.pixels},
        found.facts,
        f"What each pixel adds to the score {found.score:.4g}, compared with {found.baseline:.4g} of the baseline; "
        f"the sum misses the difference by {found.gap:.2g}.",
    )


def _pixels(subject: Subject, example: Example) -> np.ndarray:
    """The image as it came, in its own proportions, no higher than it is shown: uint8 ``(h, w, 1 | 3)``."""
    size = subject.preprocessing.image
    content: Any = example.image if isinstance(example, Record) else example
    if size is None or content is None:
        remedy = "lensmith.probe.attribution.integrated_gradients takes rows"
        raise check.DataError(check.sentence("example", "an image", "a row", remedy))
    place = example.source if isinstance(example, Record) else "image"
    image = decode(content, size[2], place=place)
    height, width = image.shape[:2]
    if height <= HEIGHT:
        return image
    smaller = resize(image, (HEIGHT, max(round(width * HEIGHT / height), 1)))
    return np.asarray(np.rint(smaller), np.uint8)


def _stretched(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A map of the model's input in the image's proportions, each value a block of pixels."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(image.shape[:2], values.shape, strict=True))
    stretched: np.ndarray = values[np.ix_(rows, columns)]
    return stretched


def _said(target: Target, probability: float | None, score: float) -> str:
    return f"{target.name}: {score:.3g}" if probability is None else f"{target.name}: {probability:.1%}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _name(method: str, target: Target) -> str:
    """Classes may be called anything: of one without a letter that a file name can have, the number must do."""
    return file_name(method, target.head, file_name(target.name, otherwise=str(target.index)))
