"""The convolution laboratory: what networks are made of, written out in numpy.

Everything here takes and gives plain arrays, and is checked against Keras by the tests; docs/laboratory.md teaches it.
"""

from lensmith.probe.lab import vectorised
from lensmith.probe.lab.convolution import convolve, depthwise, separable, transposed
from lensmith.probe.lab.costs import (
    in_sequence,
    layer_weights,
    multiply_adds,
    naive_inception,
    reduced_inception,
    separable_weights,
)
from lensmith.probe.lab.drawn import figures, filtered, placed, pooled
from lensmith.probe.lab.kernels import KERNELS, kernel
from lensmith.probe.lab.losses import (
    Moments,
    coin,
    coins,
    cross_entropy,
    entropy,
    kl_divergence,
    moment,
    moments,
    self_information,
)
from lensmith.probe.lab.operands import pad
from lensmith.probe.lab.pictures import chessboard, step_image
from lensmith.probe.lab.pooling import pool
from lensmith.probe.lab.sizes import extent, margins, output_size, receptive_field

__all__ = [
    "KERNELS",
    "Moments",
    "chessboard",
    "coin",
    "coins",
    "convolve",
    "cross_entropy",
    "depthwise",
    "entropy",
    "extent",
    "figures",
    "filtered",
    "in_sequence",
    "kernel",
    "kl_divergence",
    "layer_weights",
    "margins",
    "moment",
    "moments",
    "multiply_adds",
    "naive_inception",
    "output_size",
    "pad",
    "placed",
    "pool",
    "pooled",
    "receptive_field",
    "reduced_inception",
    "self_information",
    "separable",
    "separable_weights",
    "step_image",
    "transposed",
    "vectorised",
]
