"""What layers cost: weights and multiply-adds, as formulas.

A kernel reaches through all channels of its input, so that a layer has ``n_in·k²·n_out`` numbers and ``n_out`` biases.
A printed listing leaves the ``n_in`` out, which is right for grayscale images and for nothing behind the first layer.
"""

from __future__ import annotations

from collections.abc import Sequence

from lensmith import check
from lensmith.probe.lab.sizes import Pair, in_group, pair

INCEPTION = (1, 3, 5)
"""The kernels that stand side by side in an Inception module."""


def layer_weights(n_in: int, kernel: Pair, n_out: int, *, bias: bool = True, groups: int = 1) -> int:
    """The weights of a convolution: ``n_in·k²·n_out + n_out``.

    Args:
        n_in: channels of its input.
        kernel: the side of its kernels, or height and width.
        n_out: its kernels, which are the channels of its output.
        bias: whether each kernel has one more number.
        groups: in how many groups the channels are divided; a kernel sees those of its own.

    Raises:
        SettingError: a number is less than 1, or the channels do not divide into the groups.

    Example:
        >>> layer_weights(1, 3, 16), layer_weights(3, 3, 64), layer_weights(64, 3, 64), layer_weights(1, 5, 32)
        (160, 1792, 36928, 832)
    """
    height, width = pair("kernel", kernel)
    weights = in_group("n_in", n_in, groups) * height * width * check.positive("n_out", n_out)
    in_group("n_out", n_out, groups)
    return weights + n_out * bias


def multiply_adds(output: Pair, kernel: Pair, n_in: int, n_out: int, *, groups: int = 1) -> int:
    """The multiply-adds of a convolution for one image: its weights without biases, once for each place of its output.

    Args:
        output: height and width of the output, see :func:`~lensmith.probe.lab.sizes.output_size`.
        kernel: the side of its kernels, or height and width.
        n_in: channels of its input.
        n_out: its kernels.
        groups: as in :func:`layer_weights`.

    Raises:
        SettingError: as in :func:`layer_weights`.

    Example:
        >>> multiply_adds(158, 3, 1, 1), multiply_adds((112, 112), 7, 3, 64)
        (224676, 118013952)
    """
    height, width = pair("output", output)
    return height * width * layer_weights(n_in, kernel, n_out, bias=False, groups=groups)


def separable_weights(n_in: int, kernel: Pair, n_out: int, *, bias: bool = True) -> int:
    """The weights of a depthwise convolution and the pointwise one behind it, with one bias for each output channel.

    Example:
        >>> separable_weights(64, 3, 128), layer_weights(64, 3, 128)
        (8896, 73856)
    """
    return layer_weights(n_in, kernel, n_in, bias=False, groups=n_in) + layer_weights(n_in, 1, n_out, bias=bias)


def naive_inception(n_in: int, n_out: int, kernels: Sequence[int] = INCEPTION) -> tuple[int, ...]:
    """The weights of convolutions side by side, all of them on the same input: a naive Inception module.

    Its pool has no weights.

    Args:
        n_in: channels of the input.
        n_out: kernels of each branch.
        kernels: the side of the kernels of each branch.

    Returns:
        The weights by branch.

    References:
        Szegedy et al., "Going deeper with convolutions", 2015, figure 2(a).

    Example:
        >>> naive_inception(1, 32), sum(naive_inception(1, 32))
        ((64, 320, 832), 1216)
        >>> naive_inception(256, 8), sum(naive_inception(256, 8))
        ((2056, 18440, 51208), 71704)
    """
    return tuple(layer_weights(n_in, kernel, n_out) for kernel in kernels)


def in_sequence(n_in: int, n_out: int, kernels: Sequence[int] = INCEPTION) -> tuple[int, ...]:
    """The weights of the same convolutions one behind the other, by layer: each but the first on ``n_out`` channels.

    Example:
        >>> in_sequence(1, 32), sum(in_sequence(1, 32))
        ((64, 9248, 25632), 34944)
    """
    return tuple(layer_weights(n_out if place else n_in, kernel, n_out) for place, kernel in enumerate(kernels))


def reduced_inception(n_in: int, n_out: int, kernels: Sequence[int] = INCEPTION) -> tuple[int, ...]:
    """The weights of an Inception module that reduces the channels first, by branch.

    A 1×1 convolution stands before each larger kernel, and one behind the pool, which is the last branch.

    Args:
        n_in: channels of the input.
        n_out: kernels of each convolution.
        kernels: the side of the kernels of each branch but the pool's.

    References:
        Szegedy et al., "Going deeper with convolutions", 2015, figure 2(b).

    Example:
        >>> reduced_inception(256, 8), sum(reduced_inception(256, 8))
        ((2056, 2640, 3664, 2056), 10416)
    """
    reduction = layer_weights(n_in, 1, n_out)
    branches = (reduction if side == 1 else reduction + layer_weights(n_out, side, n_out) for side in kernels)
    return (*branches, reduction)
