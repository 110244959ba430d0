"""``python -m lensmith`` is ``lensmith``."""

from lensmith.cli import main

if __name__ == "__main__":
    main()
