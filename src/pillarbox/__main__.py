"""the program, started as python -m pillarbox"""

from __future__ import annotations

from pillarbox.cli.main import main

if __name__ == "__main__":
    main()
