"""Makes ``train_digits`` importable: the small data and networks of this room's tests and their child processes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config: pytest.Config) -> None:
    # Keras 3.15 calls numpy.array on a torch tensor, whose __array__ does not know numpy 2's `copy` yet:
    # every `convert_to_numpy` inside Keras says so, and the numbers are right.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
