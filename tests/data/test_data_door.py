"""What the room shows, and what importing it leaves alone."""

import subprocess
import sys

from lensmith import data


def test_the_door_is_sorted_and_every_name_is_there():
    assert data.__all__ == sorted(data.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(data, name) for name in data.__all__)


def test_importing_is_quiet_and_needs_no_keras():
    code = "import sys, lensmith.data; print([name for name in ('keras', 'torch', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
