"""What a painting is judged by: Gram matrices, content, and differences between neighbouring pixels.

All are written in ``keras.ops``: they take arrays or tensors, and can be differentiated.

References:
    Gatys, Ecker and Bethge 2016, Image Style Transfer Using Convolutional Neural Networks (section 2).
    Gatys et al. 2017, Controlling Perceptual Factors in Neural Style Transfer (section 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lensmith.backend import keras

Tensor = Any  # of the backend in use, or an array

# Feature maps with a smaller root mean square are taken for all zero, and are not divided by it.
_NOTHING = 1e-6


def products(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """The products of all pairs of channels, summed over the positions: ``Σ w f fᵀ``.

    Args:
        features: float32 ``(1, height, width, channels)``.
        weights: of the positions, float32 ``(height, width)``, constants; left out, 1 everywhere.

    Returns:
        float32 ``(channels, channels)``, symmetric.

    >>> features = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], np.float32)
    >>> keras.ops.convert_to_numpy(products(features)).tolist()
    [[10.0, 2.0], [2.0, 4.0]]
    """
    ops = keras.ops
    columns = ops.reshape(features, (-1, features.shape[-1]))
    weighed = columns if weights is None else ops.multiply(columns, ops.reshape(weights, (-1, 1)))
    # Both factors are the same maps, so that both give the same derivative once the one by the products is made
    # symmetric, which the last line does: computed for one and doubled, it takes half as long. The value is exact.
    half = ops.matmul(ops.transpose(ops.stop_gradient(weighed)), columns)
    both = 2.0 * half - ops.stop_gradient(half)
    return 0.5 * (both + ops.transpose(both))


def gram(features: Tensor) -> Tensor:
    """The Gram matrix of feature maps: the mean over the positions of the products of all pairs of channels.

    Args:
        features: float32 ``(1, height, width, channels)``.

    Returns:
        float32 ``(channels, channels)``.

    >>> features = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], np.float32)
    >>> keras.ops.convert_to_numpy(gram(features)).tolist()
    [[5.0, 1.0], [1.0, 2.0]]
    """
    positions = features.shape[0] * features.shape[1] * features.shape[2]
    return products(features) / float(positions)


def guidance(mask: np.ndarray) -> np.ndarray:
    """What each position counts inside a mask: with these weights :func:`products` gives the guided Gram matrix.

    It is that of Gatys et al. 2017, section 4: the features are multiplied by the mask, so that it counts squared, and
    divided such that the squares of the mask sum to 1. A mask of one value everywhere is no mask.

    Args:
        mask: at the size of the maps, float32 ``(height, width)``, 0..1, not 0 everywhere.

    Returns:
        float32 of the same shape, summing to 1.

    >>> guidance(np.array([[0.5, 0.0, 1.0]], np.float32)).tolist()
    [[0.20000000298023224, 0.0, 0.800000011920929]]
    """
    squares = np.square(mask, dtype=np.float32)
    shares: np.ndarray = squares / squares.sum()
    return shares


def style_loss(found: Tensor, target: Tensor) -> Tensor:
    """How far a Gram matrix is from another: ``Σ (G − A)² / 4N²`` for N channels.

    This is equation 4 of Gatys et al. 2016, whose 1/M² for M positions is in the matrices here, so that images of
    different sizes can be compared.

    Args:
        found: float32 ``(channels, channels)``, a :func:`gram`.
        target: likewise.

    Returns:
        A float32 scalar.

    >>> float(style_loss(np.array([[5.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 1.0], [1.0, 2.0]])))
    1.0
    """
    return keras.ops.sum(keras.ops.square(keras.ops.subtract(found, target))) / float(4 * found.shape[-1] ** 2)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """The mean of the squared differences of feature maps.

    Args:
        features: float32 ``(1, height, width, channels)``.
        target: of the same shape.

    Returns:
        A float32 scalar.

    >>> float(content_loss(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 0.0]]]])))
    2.0
    """
    return keras.ops.mean(keras.ops.square(keras.ops.subtract(features, target)))


def variation(pixels: Tensor) -> Tensor:
    """The mean of the squared differences of neighbouring pixels, down and across: small where an image is smooth.

    Args:
        pixels: float32 ``(1, height, width, channels)``.

    Returns:
        A float32 scalar; 0 for a single pixel.

    >>> float(variation(np.array([[0.0, 1.0], [0.0, 3.0]]).reshape(1, 2, 2, 1)))  # 1, 9 across; 0, 4 down
    3.5
    """
    _, height, width, channels = pixels.shape
    pairs = ((height - 1) * width + height * (width - 1)) * channels
    down = keras.ops.sum(keras.ops.square(pixels[:, 1:] - pixels[:, :-1]))
    across = keras.ops.sum(keras.ops.square(pixels[:, :, 1:] - pixels[:, :, :-1]))
    return (down + across) / float(max(pairs, 1))


def scale(mean_square: float) -> float:
    """What squares of features are multiplied by, so that those of the target have a mean of 1.

    Args:
        mean_square: of the target's features; of a Gram matrix, the mean of its diagonal.

    Returns:
        1 / ``mean_square``; 1 where the features are all zero.

    >>> scale(4.0), scale(0.0)
    (0.25, 1.0)
    """
    return 1.0 / mean_square if mean_square > _NOTHING**2 else 1.0
