"""The unit of ShuffleNet: grouped 1×1 convolutions whose channels change groups in between (Zhang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.blocks.block import Pool
from lensmith.compose.layers import Maker, Tensor


def shuffled(x: Tensor, groups: int, name: str) -> Tensor:
    """Deal the channels out anew, so that each group gets some of every other (Zhang et al. 2018, Figure 1c).

    Of groups a, b with channels a1 a2 a3 b1 b2 b3 comes a1 b1 a2 b2 a3 b3.

    Args:
        x: ``(batch, height, width, channels)``; groups divide the channels.
        groups: 1 leaves everything as it is.
        name: of the layers.
    """
    if groups == 1:
        return x
    height, width, channels = x.shape[1:]
    # Three layers that every backend, saved file and exporter knows, none of more than four axes.
    x = keras.layers.Reshape((height * width, groups, channels // groups), name=f"{name}-deal")(x)
    x = keras.layers.Permute((1, 3, 2), name=f"{name}-turn")(x)
    return keras.layers.Reshape((height, width, channels), name=name)(x)


@dataclass(frozen=True, slots=True)
class Shuffle:
    """A bottleneck of grouped 1×1, shuffle, depthwise 3×3, grouped 1×1 (Zhang et al. 2018, Figure 2b and c).

    With stride 1 it is added to what came in; with a larger one it stands beside what came in, averaged over 3×3, and
    brings only the channels that are missing to the block's filters. The rectifier comes after that.

    Args:
        groups: of the 1×1 convolutions.
        entry_groups: of the first one, where it differs: 1 in the first unit of the paper's network, since the stem
            gives few channels. None is ``groups``. Channels are shuffled where the first convolution is grouped.
        squeeze: the inner convolutions have the block's filters divided by this.
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = True

    groups: int = 3
    entry_groups: int | None = None
    squeeze: int = 4

    def __post_init__(self) -> None:
        check.positive("shuffle.groups", self.groups)
        if self.entry_groups is not None:
            check.positive("shuffle.entry_groups", self.entry_groups)
        check.positive("shuffle.squeeze", self.squeeze)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        self._check_channels(x.shape[-1], filters, stride, name)
        missing = filters if stride == 1 else filters - x.shape[-1]
        update = self._update(x, make, inside=filters // self.squeeze, filters=missing, stride=stride, name=name)
        if stride == 1:
            joined = make.add([x, update], f"{name}-add")
        else:
            source = make.pad(x, f"{name}-shortcut-pad", 3, stride)
            joined = make.concatenate(
                [Pool(3, stride, "average").build(source, make, f"{name}-shortcut-pool"), update], f"{name}-concat"
            )
        return make.activation(joined, f"{name}-relu", "relu")

    def _update(self, x: Tensor, make: Maker, *, inside: int, filters: int, stride: int, name: str) -> Tensor:
        entry, bias = self.entry_groups or self.groups, make.conventions.bias
        x = make.conv(x, f"{name}-conv1", inside, 1, bias=bias, groups=entry)
        x = make.activation(make.norm(x, f"{name}-norm1"), f"{name}-relu1", "relu")
        x = shuffled(x, entry, f"{name}-shuffle")
        # No rectifier after the depthwise convolution (Section 3.2).
        x = make.norm(make.depthwise(x, f"{name}-conv2", 3, stride=stride, bias=bias), f"{name}-norm2")
        return make.norm(make.conv(x, f"{name}-conv3", filters, 1, bias=bias, groups=self.groups), f"{name}-norm3")

    def _check_channels(self, channels: int, filters: int, stride: int, name: str) -> None:
        if stride == 1 and channels != filters:
            expected = f"{channels} filters at stride 1, as many as came in"
            raise check.SettingError(check.sentence(name, expected, filters, "Let the block stride"))
        if stride > 1 and channels >= filters:
            expected = f"more than {channels} filters where it strides"
            raise check.SettingError(check.sentence(name, expected, filters, "It keeps the channels that came in"))
        if filters < self.squeeze:
            raise check.SettingError(check.sentence(name, f"at least {self.squeeze} filters", filters))
