"""Class activation maps: where on the feature maps of a layer the evidence for a class lies.

Grad-CAM weighs each feature map by how much the class's logit grows with it; Grad-CAM++ looks at each place on its own,
so that several objects of a class, and small ones, are all found.

References:
    R. R. Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,
    section 3.
    A. Chattopadhay et al. 2018, Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
    Networks, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from lensmith import check
from lensmith.probe import heads, targets
from lensmith.probe.inputs import entering
from lensmith.probe.map_derivatives import Place, derivatives, place_of
from lensmith.probe.targets import Target

Method = Literal["grad-cam", "grad-cam++"]
METHODS: tuple[Method, ...] = ("grad-cam", "grad-cam++")
_BATCH = 16  # images whose feature maps are held at a time


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Where the evidence for a class lies.

    Args:
        values: float32 ``(height, width)`` of the layer's feature maps, 0 and more, not scaled.
        weights: float32 ``(channels,)``: by what each feature map was multiplied.
        target: the class, or number, that was looked at.
        layer: whose feature maps they are.
        method: ``grad-cam`` or ``grad-cam++``.
        score: the target's logit for this image; the output itself where that is all there is.
        probability: of the target, 0..1; None where no probabilities are known of the head.
        connected: whether the head depends on the layer at all; all values are 0 where it does not.
        logits: whether the score is a logit, or number, and no probability.
    """

    values: np.ndarray
    weights: np.ndarray
    target: Target
    layer: str
    method: Method
    score: float
    probability: float | None
    connected: bool = True
    logits: bool = True

    def scaled(self, size: tuple[int, int]) -> np.ndarray:
        """The map at the size of an image, as shares of its largest value: float32 ``size``, 0..1, bilinear.

        Args:
            size: height and width in pixels.
        """
        largest = float(self.values.max())
        shares = self.values / largest if largest > 0 else self.values
        enlarged = cv2.resize(
            shares, (size[1], size[0]), interpolation=cv2.INTER_LINEAR
        )  # OpenCV wants the width first
        return np.asarray(np.clip(enlarged, 0, 1), np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        """The numbers worth saying, as JSON holds them."""
        facts: dict[str, Any] = {
            "method": self.method,
            "head": self.target.head,
            "target": self.target.name,
            "index": self.target.index,
            "layer": self.layer,
            "size": list(self.values.shape),
            "score": self.score,
            "score_of": "logits" if self.logits else "outputs as they are, whose activation cannot be left out",
            "largest": float(self.values.max()),
        }
        if self.probability is not None:
            facts["probability"] = self.probability
        if not self.connected:
            facts["remark"] = f"the head {self.target.head} does not depend on {self.layer}: all values are 0"
        elif facts["largest"] == 0:
            facts["remark"] = "nothing on these feature maps speaks for the target: all values are 0"
        return facts


def grad_cam(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
) -> Heat:
    """Grad-CAM of one image: ReLU(Σₖ wₖ Aₖ), where wₖ is the mean of the logit's derivatives by feature map Aₖ.

    Args:
        subject: a :class:`~lensmith.probe.subject.Subject`, or any model made of connected layers.
        x: what enters the model, float32 ``(height, width, channels)``, or a batch of one.
        layer: a tap such as ``P5`` or a layer's name, its last call if there are several; left out, the last feature
            maps before the head.
        head: by name or number; left out, the first.
        target: a class, or number, by name or index; left out, the most probable.

    Raises:
        SettingError: there is no such layer, head or class; the layer, or the model, has no feature maps.
        DataError: the image has another shape than the model takes.

    Example:
        >>> from lensmith.compose import zoo
        >>> heat = grad_cam(zoo.get("compact").build(seed=0), np.ones((64, 64, 3), np.float32), target=7)
        >>> heat.values.shape, heat.target.index, float(heat.values.min()) >= 0
        ((8, 8), 7, True)
    """
    return _one(subject, x, layer, head, target, "grad-cam")


def grad_cam_plus_plus(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
) -> Heat:
    """Grad-CAM++ of one image: as :func:`grad_cam`, but wₖ = Σ α · ReLU(g) over the places of a feature map.

    g is the logit's derivative by the feature map at a place, and α = g² / (2g² + g³ Σ Aₖ): equation 19, with the
    exponential of the logit as the score, whose second and third derivatives are g² and g³ times itself. Equation 19
    takes the logit's own second derivatives as 0, as they are behind rectified layers. The factor exp(logit), the
    same for all feature maps of an image, is left out: it would overflow. Choose a layer after an activation that
    gives nothing below 0: elsewhere Σ Aₖ can make α negative, or as large as you like. Arguments and errors are those
    of :func:`grad_cam`.
    """
    return _one(subject, x, layer, head, target, "grad-cam++")


def heats(
    subject: Any,
    x: np.ndarray,
    *,
    layer: str | None = None,
    head: str | int | None = None,
    target: str | int | None = None,
    method: Method = "grad-cam",
) -> Iterator[Heat]:
    """The maps of many images, one after the other; left out, the target is each image's most probable class.

    Arguments and errors are those of :func:`grad_cam`, but for:

    Args:
        x: float32 ``(images, height, width, channels)``.
        method: ``grad-cam`` or ``grad-cam++``.
    """
    check.one_of("method", method, METHODS)
    images = entering(heads.flat(subject), x)
    found = heads.head_of(subject, head)
    wanted = None if target is None else targets.chosen(found, target).index
    place = place_of(subject, found, layer)
    return (one for i in range(0, len(images), _BATCH) for one in _batch(place, images[i : i + _BATCH], wanted, method))


def _one(
    subject: Any,
    x: np.ndarray,
    layer: str | None,
    head: str | int | None,
    target: str | int | None,
    method: Method,
) -> Heat:
    found = list(heats(subject, x, layer=layer, head=head, target=target, method=method))
    if len(found) != 1:
        raise check.DataError(check.sentence("x", "one image", f"{len(found)}", "heats() takes a batch"))
    return found[0]


def _batch(place: Place, images: np.ndarray, wanted: int | None, method: Method) -> Iterator[Heat]:
    head = place.head
    logits = targets.predicted(heads.raw(place.subject, head.name), images)
    each = [logits[i : i + 1] for i in range(len(images))]
    chosen = [targets.target(head, one, wanted) for one in each]
    maps, gradients = derivatives(place, images, targets.choices(head, chosen))
    for one, target, at, by in zip(each, chosen, maps, gradients, strict=True):
        values, weights = _combined(at, by, method)
        score = float(targets.by_unit(one, head)[0, target.unit] * target.sign)
        probable = float(targets.probability(one, head, target)[0]) if head.probable else None
        yield Heat(values, weights, target, place.layer, method, score, probable, place.connected, not head.whole)


def _combined(maps: np.ndarray, gradients: np.ndarray, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """The map and the weights of the feature maps ``(height, width, channels)`` of one image."""
    if not np.isfinite(gradients).all() or not np.isfinite(maps).all():
        raise check.LensmithError(check.sentence(method, "finite derivatives", "NaN or infinity"))
    if method == "grad-cam":
        weights = gradients.mean(axis=(0, 1))
    else:
        # g² is cancelled: g³ of a small derivative would be rounded to 0.
        below = 2 + gradients * maps.sum(axis=(0, 1))
        alpha = np.divide(1, below, out=np.zeros_like(below), where=(gradients != 0) & (below != 0))
        weights = (alpha * np.maximum(gradients, 0)).sum(axis=(0, 1))
    return np.maximum(maps @ weights, 0).astype(np.float32), weights.astype(np.float32)
