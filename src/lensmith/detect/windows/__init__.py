"""The sliding window, and the convolutional form that looks through all windows in one pass."""

from __future__ import annotations

from lensmith.detect.windows.classifier import digit_classifier
from lensmith.detect.windows.convolutional import convolutional
from lensmith.detect.windows.grid import windows
from lensmith.detect.windows.slid import Best, Slid
from lensmith.detect.windows.sliding import scan, slide

__all__ = ["Best", "Slid", "convolutional", "digit_classifier", "scan", "slide", "windows"]
