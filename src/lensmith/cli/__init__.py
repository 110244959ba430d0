"""The shell: ``lensmith VERB``. Each verb parses, calls one public function and shows what it returned."""

from __future__ import annotations

import sys

from lensmith.check import LensmithError, SettingError

FAILED, WRONG_USAGE, SEVERE = 1, 2, 3  # the last: done, and the audit found something severe


def main() -> None:
    """Run the command line; every refusal becomes one line on standard error and an exit status."""
    from lensmith.cli.app import app

    try:
        app()  # which itself answers wrong usage, with the same status
    except SettingError as error:
        _refuse(str(error), WRONG_USAGE)
    except LensmithError as error:
        _refuse(str(error), FAILED)


def _refuse(message: str, status: int) -> None:
    print(f"lensmith: {message}", file=sys.stderr)
    sys.exit(status)
