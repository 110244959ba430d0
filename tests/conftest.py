"""Fixtures every room's tests share."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A change is judged by what it changes: property tests draw the same examples each time. To look for new ones:
# ./scripts/test --hypothesis-profile=default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

# What several rooms' tests share can be imported by name, such as ``ending``.
sys.path.insert(0, str(Path(__file__).parent))

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped, with the reason, where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real images, ../shared/data, is not beside this checkout")
    return SHARED_DATA
