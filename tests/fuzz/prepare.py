"""seeds and dictionary of a target as files: python -m tests.fuzz.prepare TARGET FOLDER FOUND"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.targets import load


def main() -> None:
    """Seeds in a fixed order, and what was found before among them."""
    name, folder, found = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    target = load(name)
    kept = [path.read_bytes() for path in sorted(found.glob("*"))]
    paths = []
    (folder / "seeds").mkdir(parents=True)
    for number, seed in enumerate((*target.seeds(), *kept)):
        paths.append(folder / "seeds" / f"{number:04}")
        paths[-1].write_bytes(seed[: target.max_bytes])
    (folder / "seeds.list").write_text(",".join(map(str, paths)))
    words = dict.fromkeys(word for word in target.words if word)
    (folder / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in words))


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in word)


if __name__ == "__main__":
    main()
