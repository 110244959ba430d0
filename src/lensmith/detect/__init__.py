"""Detect: where things are. Windows, the localiser's scenes, YOLO's losses, scores, Darknet's files.

The heads are tasks of a recipe, see :mod:`lensmith.compose.detection`; what they give is looked through here.
"""

from __future__ import annotations

from lensmith.detect.training import candidates_of, detectors, objective

__all__ = ["candidates_of", "detectors", "objective"]
