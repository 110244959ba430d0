"""Runs: a folder that can rebuild itself. Wires data, compose, train and ship together."""

from lensmith.runs.folder import RunFolder, fresh
from lensmith.runs.opening import evaluate, open_model, ship_run
from lensmith.runs.run import Prepared, Run, begin, open_run, prepare, resume, start
from lensmith.runs.scoring import Scores, score
from lensmith.runs.spec import DataSpec, FitSpec, ModelSpec, Spec, parse_spec, read_spec

__all__ = [
    "DataSpec",
    "FitSpec",
    "ModelSpec",
    "Prepared",
    "Run",
    "RunFolder",
    "Scores",
    "Spec",
    "begin",
    "evaluate",
    "fresh",
    "open_model",
    "open_run",
    "parse_spec",
    "prepare",
    "read_spec",
    "resume",
    "score",
    "ship_run",
    "start",
]
