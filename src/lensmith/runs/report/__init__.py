"""The report of a run: one HTML file with the curves, results, mistakes, model, data and machine in it.

:func:`render` makes the page from a :class:`Content`; the functions beside it compute what the content holds.
"""

from lensmith.runs.report.content import ClassRow, Content, Mistake, TaskResult
from lensmith.runs.report.detection import AnchorMap, ClassScore, Detection, Pictured
from lensmith.runs.report.page import render, render_audit, render_probe
from lensmith.runs.report.probed import Look, Said
from lensmith.runs.report.results import confusion, per_class, per_label, surest_mistakes
from lensmith.runs.report.wording import counted, metric

__all__ = [
    "AnchorMap",
    "ClassRow",
    "ClassScore",
    "Content",
    "Detection",
    "Look",
    "Mistake",
    "Pictured",
    "Said",
    "TaskResult",
    "confusion",
    "counted",
    "metric",
    "per_class",
    "per_label",
    "render",
    "render_audit",
    "render_probe",
    "surest_mistakes",
]
