"""Blocks: what a group repeats. Each is a frozen record that adds its layers to a tensor.

A block's ``build`` takes and returns a tensor of shape ``(batch, height, width, channels)``; with stride s
the result is s times smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

from lensmith.compose.blocks.block import Block, Pool
from lensmith.compose.blocks.branches import Branches, along
from lensmith.compose.blocks.conv import Conv, Step
from lensmith.compose.blocks.residual import Basic, Bottleneck, Version

# Every block by the name that YAML calls it.
BLOCKS: Mapping[str, type] = {
    "conv": Conv,
    "basic": Basic,
    "bottleneck": Bottleneck,
    "branches": Branches,
}

__all__ = ["BLOCKS", "Basic", "Block", "Bottleneck", "Branches", "Conv", "Pool", "Step", "Version", "along"]
