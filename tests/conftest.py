"""Fixtures every room's tests share."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped, with the reason, where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real images, ../shared/data, is not beside this checkout")
    return SHARED_DATA
