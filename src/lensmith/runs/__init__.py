"""Runs: a folder that can rebuild itself. Wires data, compose, train and ship together."""

from lensmith.runs.aims import objectives
from lensmith.runs.data_spec import DataSpec, ReadSpec, Section, SplitSpec
from lensmith.runs.extending import extend
from lensmith.runs.folder import RunFolder, check_new, fresh
from lensmith.runs.for_darknet import ship_darknet
from lensmith.runs.inspecting import inspect, write_audit_page, write_folds, write_split
from lensmith.runs.opening import evaluate, open_model, ship_run
from lensmith.runs.prepare import Prepared, prepare
from lensmith.runs.probing import compare_inside, look_inside, probe_folder, to_compare
from lensmith.runs.run import Run, begin, open_run, resume, start
from lensmith.runs.scoring import Scores, score
from lensmith.runs.spec import ModelSpec, Spec, parse_spec, read_spec, validated
from lensmith.runs.stage_specs import FitSpec
from lensmith.runs.subjects import open_predictor, open_subject
from lensmith.runs.trying import advise, try_one_batch

__all__ = [
    "DataSpec",
    "FitSpec",
    "ModelSpec",
    "Prepared",
    "ReadSpec",
    "Run",
    "RunFolder",
    "Scores",
    "Section",
    "Spec",
    "SplitSpec",
    "advise",
    "begin",
    "check_new",
    "compare_inside",
    "evaluate",
    "extend",
    "fresh",
    "inspect",
    "look_inside",
    "objectives",
    "open_model",
    "open_predictor",
    "open_run",
    "open_subject",
    "parse_spec",
    "prepare",
    "probe_folder",
    "read_spec",
    "resume",
    "score",
    "ship_darknet",
    "ship_run",
    "start",
    "to_compare",
    "try_one_batch",
    "validated",
    "write_audit_page",
    "write_folds",
    "write_split",
]
