"""Pictures of what a look inside found: every function gives uint8 RGB ``(height, width, 3)`` on white paper.

The same arguments give the same pixels: nothing here depends on a clock, a screen or a font of the machine.
"""

from lensmith.probe.drawing.curves import lines
from lensmith.probe.drawing.histograms import bars
from lensmith.probe.drawing.maps import coloured, gray, overlaid, signed
from lensmith.probe.drawing.points import scatter
from lensmith.probe.drawing.tables import table
from lensmith.probe.drawing.tiles import beside, grid

__all__ = ["bars", "beside", "coloured", "gray", "grid", "lines", "overlaid", "scatter", "signed", "table"]
