"""The U-Net (Ronneberger, Fischer & Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation).

Layers of the contracting path are named ``learner-group1-block1-…``, those of the expanding path
``decoder-group1-…``, both in the order that data passes through them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lensmith import check
from lensmith.compose.blocks import Conv, Pool
from lensmith.compose.layers import Maker, Padding, Tensor, check_activation, check_image, check_padding

NORMS = ("none", "before", "after")


@dataclass(frozen=True, slots=True)
class UNet:
    """Two convolutions a level and a pool, down ``depth`` levels; the same up again, beside what was there before.

    Each way up is a 2×2 up-convolution that halves the channels (without activation, as the paper's Figure 1 has
    it), then the feature maps of the same level on the way down beside it, then two convolutions (section 2).

    With ``valid`` padding, the paper's, an image of 572 pixels gives a map of 388, and what was there before is
    cropped at all four sides; on sizes that a pool does not divide, the last row or column does not reach the levels
    below. With ``same`` padding the map has the size of the image, whatever it is.

    Args:
        filters: of the first level; they double from level to level.
        depth: how many times the feature maps are halved.
        padding: of the convolutions.
        norm: batch normalisation ``before`` or ``after`` the activation, or ``none``, as in the paper.
        activation: after each convolution.
        dropout: share of activations dropped at the end of the contracting path (section 3.1), 0..1.
    """

    filters: int = 64
    depth: int = 4
    padding: Padding = "valid"
    norm: Literal["none", "before", "after"] = "none"
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check.positive("u-net.filters", self.filters)
        check.positive("u-net.depth", self.depth)
        check_padding("u-net.padding", self.padding)
        check.one_of("u-net.norm", self.norm, NORMS)
        check_activation("u-net.activation", self.activation)
        check.between("u-net.dropout", self.dropout, 0.0, 1.0)

    def build(self, x: Tensor, make: Maker) -> Tensor:
        """Add the layers.

        Args:
            x: images, ``(batch, height, width, channels)``.
            make: makes the layers.

        Returns:
            Feature maps of ``filters`` channels.

        Raises:
            SettingError: no image, or one too small for so many levels.
        """
        check_image("learner", x)
        passed = []
        for level in range(1, self.depth + 1):
            x = self._twice(x, make, f"learner-group{level}", level)
            passed.append(x)
            x = Pool(2, padding=self.padding).build(x, make, f"learner-group{level}-pool")
        last = f"learner-group{self.depth + 1}"
        x = make.dropout(self._twice(x, make, last, self.depth + 1), f"{last}-dropout", self.dropout)
        for step, before in enumerate(reversed(passed), start=1):
            x = self._up(x, before, make, f"decoder-group{step}", self.depth + 1 - step)
        return x

    def _twice(self, x: Tensor, make: Maker, name: str, level: int) -> Tensor:
        block = Conv(3, self.padding, self.norm, self.activation)
        for i in (1, 2):
            x = block.build(x, make, filters=self.filters * 2 ** (level - 1), stride=1, name=f"{name}-block{i}")
        return x

    def _up(self, x: Tensor, before: Tensor, make: Maker, name: str, level: int) -> Tensor:
        x = make.transposed(x, f"{name}-up", self.filters * 2 ** (level - 1), 2, stride=2, bias=True)
        smaller = tuple(min(sizes) for sizes in zip(x.shape[1:3], before.shape[1:3], strict=True))
        before, x = _cropped(before, smaller, make, f"{name}-crop"), _cropped(x, smaller, make, f"{name}-trim")
        x = make.concatenate([before, x], f"{name}-concatenate")
        return self._twice(x, make, name, level)


def _cropped(x: Tensor, wanted: tuple[int, ...], make: Maker, name: str) -> Tensor:
    """The middle of feature maps, the odd pixel cut off at the bottom right."""
    extra = [size - target for size, target in zip(x.shape[1:3], wanted, strict=True)]
    if not any(extra):
        return x
    return make.layers.Cropping2D(tuple((count // 2, count - count // 2) for count in extra), name=name)(x)
