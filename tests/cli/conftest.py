"""Makes ``train_digits`` importable: the small data and networks of this room's tests and their child processes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
