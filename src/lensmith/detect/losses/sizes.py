"""The candidates of a detector at every input size that it is trained at.

In multi-scale training (Redmon & Farhadi 2017, YOLO9000, section 2) the size of the images changes every few batches,
and the number of candidates with it: this number says which size it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.compose.detection import Candidates, Grid

Grids = tuple[Grid, ...]
Given = Candidates | Sequence[Grid]


def grids_of(candidates: Given) -> Grids:
    """The maps that candidates come from.

    Raises:
        SettingError: there are none.

    Example:
        >>> grids = (Grid(1, 2, ((0.5, 0.25),)), Grid(2, 4, ((0.125, 0.125), (0.25, 0.5)), 2.0))
        >>> grids_of(Candidates.of(grids)) == grids
        True
    """
    if not isinstance(candidates, Candidates):
        return tuple(candidates)
    maps = range(int(candidates.scale.max()) + 1) if len(candidates) else range(0)
    return tuple(_grid(candidates, number) for number in maps)


def _grid(candidates: Candidates, number: int) -> Grid:
    own = candidates.scale == number
    columns, rows = (int(count) for count in candidates.grid[own][0])
    count = int(candidates.anchor[own].max()) + 1
    anchors = tuple((float(width), float(height)) for width, height in candidates.anchors[own][:count])
    return Grid(rows, columns, anchors, float(candidates.scale_xy[own][0, 0]))


class Sizes:
    """The maps of a detector and their candidates, by the number of candidates.

    Args:
        given: for each input size its maps, as :class:`Grid` or their plain values.

    Raises:
        SettingError: there is no size, one has no candidates, or two of them have as many as each other, so that the
            number would not say which it is (416×320 and 320×416).
    """

    def __init__(self, given: Sequence[Sequence[Grid | Mapping[str, Any]]]) -> None:
        self._known: dict[int, tuple[Grids, Candidates]] = {}
        for one in given:
            grids = tuple(grid if isinstance(grid, Grid) else Grid.from_dict(dict(grid)) for grid in one)
            count = sum(grid.rows * grid.columns * len(grid.anchors) for grid in grids)
            if not count or self._known.get(count, (grids,))[0] != grids:
                expected = "maps with candidates, at each input size another number of them"
                raise check.SettingError(check.sentence("loss: candidates", expected, f"{count} twice" if count else 0))
            self._known[count] = grids, Candidates.of(grids)
        if not self._known:
            raise check.SettingError(check.sentence("loss: candidates", "those of at least one input size", "none"))

    def of(self, count: int | None) -> tuple[Grids, Candidates]:
        """The maps and the candidates, where there are so many; None where only one number is possible.

        Raises:
            SettingError: they are not known.
        """
        if count is None and len(self._known) == 1:
            return next(iter(self._known.values()))
        if count not in self._known:
            listed = " or ".join(map(str, self._known))
            raise check.SettingError(check.sentence("loss: output of the detector", f"{listed} candidates", count))
        return self._known[count]

    def to_list(self) -> list[list[dict[str, Any]]]:
        """Plain values for JSON."""
        return [[grid.to_dict() for grid in grids] for grids, _ in self._known.values()]


def sizes_of(candidates: Given | Mapping[int, Given]) -> list[Grids]:
    """The maps at each input size, from candidates or from a mapping of their number to them.

    Raises:
        SettingError: a number is not that of its candidates.

    Example:
        >>> small, large = [Grid(2, 2, ((0.5, 0.5),))], [Grid(3, 3, ((0.5, 0.5),))]
        >>> [grids[0].rows for grids in sizes_of({4: Candidates.of(small), 9: Candidates.of(large)})]
        [2, 3]
    """
    if not isinstance(candidates, Mapping):
        return [grids_of(candidates)]
    found = []
    for count, one in candidates.items():
        grids = grids_of(one)
        come = sum(grid.rows * grid.columns * len(grid.anchors) for grid in grids)
        if come != count:
            raise check.SettingError(check.sentence(f"loss: candidates of {count}", f"{count} candidates", come))
        found.append(grids)
    return found
