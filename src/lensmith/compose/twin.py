"""Siamese networks: two images through one network, and how far their embeddings are apart.

Bromley et al. 1993, Signature Verification using a "Siamese" Time Delay Neural Network; Koch, Zemel & Salakhutdinov
2015, Siamese Neural Networks for One-shot Image Recognition; Hadsell, Chopra & LeCun 2006, Dimensionality Reduction
by Learning an Invariant Mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import written
from lensmith.compose.layers import Maker, Tensor
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Regress

DISTANCES = ("l1", "l2")
HEADS = ("binary", "distance")


@dataclass(frozen=True, slots=True)
class Twin:
    """A model of two inputs, ``left`` and ``right``, that share one encoder.

    Args:
        encoder: a recipe with one task, ``Regress``, whose numbers are the embedding.
        distance: between two embeddings: ``l1``, the absolute differences, or ``l2``, the squared ones.
        head: ``binary`` weighs the differences and gives the probability that the two show the same (Koch et al.
            2015, section 3.1), ``distance`` adds them up to one distance, to be trained with
            :func:`contrastive_loss`; that of ``l2`` is Euclid's.

    >>> from lensmith.compose import Conv, Group, Groups
    >>> small = Groups(Group(Conv(), filters=(8, 16), pool=2))
    >>> digits = Twin(Recipe((8, 8, 1), stem=None, learner=small, tasks={"embedding": Regress(10)}), distance="l1")
    >>> digits.count()
    (1429, 1429)
    >>> sorted(digits.build(seed=0).input)
    ['left', 'right']
    """

    encoder: Recipe
    distance: Literal["l1", "l2"] = "l1"
    head: Literal["binary", "distance"] = "binary"

    def __post_init__(self) -> None:
        if not isinstance(self.encoder, Recipe):
            raise check.SettingError(check.sentence("twin.encoder", "a Recipe", repr(self.encoder)))
        tasks = list(self.encoder.tasks.values())
        if len(tasks) != 1 or not isinstance(tasks[0], Regress):
            got = ", ".join(type(task).__name__ for task in tasks)
            raise check.SettingError(check.sentence("twin.encoder.tasks", "one Regress, the embedding", got))
        check.one_of("twin.distance", self.distance, DISTANCES)
        check.one_of("twin.head", self.head, HEADS)

    def build(self, seed: int | None = None) -> Any:
        """A ``keras.Model``: a dictionary of two batches, ``left`` and ``right``, in; ``(batch, 1)`` out.

        The output is a probability (``task-same-probabilities``, with its logits before it), or a distance of at
        least 0 (``task-same-output``). The layer ``encoder`` is the shared model by itself.

        Args:
            seed: of the initial weights; None draws one from Python's global generator.

        Raises:
            SettingError: the encoder's parts do not fit each other or the input.
        """
        return self._assemble(Maker(seed, conventions=self.encoder.conventions), self.encoder.build(seed))

    def count(self) -> tuple[int, int]:
        """All parameters and the trainable ones; the encoder's are there once."""
        encoder = self.encoder.count()
        added = next(iter(self.encoder.tasks.values())).units + 1 if self.head == "binary" else 0
        return encoder[0] + added, encoder[1] + added

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and names, every default written out."""
        return {"encoder": self.encoder.to_dict(), "distance": self.distance, "head": self.head}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Twin:
        """The twin that :meth:`to_dict` wrote.

        Raises:
            SettingError: a setting is unknown, missing or of the wrong kind; the nearest name is suggested.
        """
        plain = written.check_keys("twin", values, ("encoder",), ("distance", "head"))
        return Twin(**plain | {"encoder": Recipe.from_dict(plain["encoder"])})

    def to_yaml(self) -> str:
        """The twin as a YAML document; :meth:`from_yaml` reads it back to an equal one."""
        return written.to_yaml(self.to_dict())

    @staticmethod
    def from_yaml(text: str) -> Twin:
        """The twin that a YAML document describes; errors as :meth:`from_dict`."""
        return Twin.from_dict(written.from_yaml(text))

    def _assemble(self, make: Maker, encoder: Any) -> Any:
        encoder = keras.Model(encoder.input, encoder.output, name="encoder")
        sources = {side: keras.Input(self.encoder.input, name=side) for side in ("left", "right")}
        apart = make.layers.Subtract(name="task-same-difference")([encoder(one) for one in sources.values()])
        apart = keras.ops.absolute(apart) if self.distance == "l1" else keras.ops.square(apart)
        return keras.Model(sources, self._judged(apart, make), name="twin")

    def _judged(self, apart: Tensor, make: Maker) -> Tensor:
        if self.head == "binary":
            return make.activation(make.dense(apart, "task-same-logits", 1), "task-same-probabilities", "sigmoid")
        total = keras.ops.sum(apart, axis=-1, keepdims=True)
        # The root has no derivative at 0, where twins begin: a little is added.
        total = keras.ops.sqrt(total + keras.config.epsilon()) if self.distance == "l2" else total
        return make.layers.Activation("linear", name="task-same-output")(total)


def contrastive_loss(margin: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss that draws the same together, and pushes others apart until they are ``margin`` apart.

    ``y · d² + (1 − y) · max(margin − d, 0)²``, halved: Hadsell et al. 2006, equation 4, with y 1 for the same.

    Args:
        margin: above 0, in the unit of the distance.

    Returns:
        A function of ``(y_true, distance)``, both ``(batch, 1)``, that gives ``(batch,)``.

    Raises:
        SettingError: the margin is not above 0.

    >>> loss = contrastive_loss(margin=2.0)
    >>> [round(float(value), 3) for value in loss([[1.0], [0.0], [0.0]], [[0.5], [0.5], [3.0]])]
    [0.125, 1.125, 0.0]
    """
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < float("inf"):
        raise check.SettingError(check.sentence("contrastive_loss.margin", "a number above 0", repr(margin)))

    def contrastive(y_true: Tensor, distance: Tensor) -> Tensor:
        distance = keras.ops.convert_to_tensor(distance)
        same = keras.ops.cast(y_true, distance.dtype)
        near = keras.ops.maximum(margin - distance, 0)
        return keras.ops.mean(same * distance**2 + (1 - same) * near**2, axis=-1) / 2

    return contrastive
