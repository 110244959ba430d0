"""The candidate boxes of a detector: which cell and which anchor each row of its output belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Anchors = tuple[tuple[float, float], ...]  # width and height of each


@dataclass(frozen=True, slots=True)
class Grid:
    """One map of a detector's output.

    Args:
        rows, columns: its cells.
        anchors: width and height of each, as shares of the network's input; zeros where there are none (YOLO v1).
        scale_xy: how far a centre may leave its cell: 1 is not at all (Bochkovskiy et al. 2020, YOLOv4, section 3.4,
            "eliminate grid sensitivity").
    """

    rows: int
    columns: int
    anchors: Anchors
    scale_xy: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        anchors = [list(pair) for pair in self.anchors]
        return {"rows": self.rows, "columns": self.columns, "anchors": anchors, "scale_xy": self.scale_xy}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Grid:
        """What :meth:`to_dict` wrote."""
        anchors = tuple((float(width), float(height)) for width, height in values["anchors"])
        return Grid(int(values["rows"]), int(values["columns"]), anchors, float(values["scale_xy"]))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """All candidate boxes of a detector, in the order of its output's rows.

    Map by map, in each row by row, cell by cell, anchor by anchor: ``((row * columns) + column) * A + anchor``.

    Args:
        cells: float32 ``(N, 2)``: column and row of the cell.
        grid: float32 ``(N, 2)``: columns and rows of its map.
        anchors: float32 ``(N, 2)``: width and height, shares of the input.
        scale_xy: float32 ``(N, 1)``: see :class:`Grid`.
        scale: int32 ``(N,)``: the map's number.
        anchor: int32 ``(N,)``: the number of the anchor among those of its map.
    """

    cells: np.ndarray
    grid: np.ndarray
    anchors: np.ndarray
    scale_xy: np.ndarray
    scale: np.ndarray
    anchor: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    @staticmethod
    def of(grids: Sequence[Grid]) -> Candidates:
        """The candidates of these maps.

        Example:
            >>> Candidates.of([Grid(1, 2, ((0.5, 0.5), (0.1, 0.2)))]).cells.tolist()
            [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
        """
        parts = [_of_grid(grid, number) for number, grid in enumerate(grids)]
        return Candidates(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _of_grid(grid: Grid, number: int) -> tuple[np.ndarray, ...]:
    rows, columns, anchors = (
        index.reshape(-1) for index in np.indices((grid.rows, grid.columns, len(grid.anchors)), np.int32)
    )
    count = len(rows)
    return (
        np.stack([columns, rows], axis=1).astype(np.float32),
        np.tile(np.array([[grid.columns, grid.rows]], np.float32), (count, 1)),
        np.asarray(grid.anchors, np.float32).reshape(-1, 2)[anchors],
        np.full((count, 1), grid.scale_xy, np.float32),
        np.full(count, number, np.int32),
        anchors,
    )
