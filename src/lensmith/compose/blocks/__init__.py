"""Blocks: what a group repeats. Each is a frozen record that adds its layers to a tensor.

A block's ``build`` takes and returns a tensor of shape ``(batch, height, width, channels)``; with stride s
the result is s times smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

from lensmith.compose.blocks.block import Block, Pool
from lensmith.compose.blocks.branches import Branches, along
from lensmith.compose.blocks.conv import Conv, Step
from lensmith.compose.blocks.dense import DenseLayer, Transition
from lensmith.compose.blocks.fire import Fire
from lensmith.compose.blocks.inverted import InvertedResidual, Squeeze
from lensmith.compose.blocks.residual import Basic, Bottleneck, Version
from lensmith.compose.blocks.separable import Separable
from lensmith.compose.blocks.shuffle import Shuffle
from lensmith.compose.blocks.xception import SeparableConv, SeparableResidual

# Every block by the name that YAML calls it.
BLOCKS: Mapping[str, type] = {
    "conv": Conv,
    "basic": Basic,
    "bottleneck": Bottleneck,
    "dense-layer": DenseLayer,
    "transition": Transition,
    "branches": Branches,
    "inverted-residual": InvertedResidual,
    "separable": Separable,
    "separable-conv": SeparableConv,
    "separable-residual": SeparableResidual,
    "fire": Fire,
    "shuffle": Shuffle,
}

__all__ = [
    "BLOCKS",
    "Basic",
    "Block",
    "Bottleneck",
    "Branches",
    "Conv",
    "DenseLayer",
    "Fire",
    "InvertedResidual",
    "Pool",
    "Separable",
    "SeparableConv",
    "SeparableResidual",
    "Shuffle",
    "Squeeze",
    "Step",
    "Transition",
    "Version",
    "along",
]
