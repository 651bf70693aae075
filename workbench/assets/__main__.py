"""`python -m workbench.assets`: make the shipped runs anew, or only check them."""

from __future__ import annotations

import argparse

from workbench.assets import make, unsound


def main() -> int:
    """Make or check; 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m workbench.assets", description=__doc__)
    parser.add_argument("--check", action="store_true", help="train nothing, say what is wrong")
    parser.add_argument("--only", choices=("acts", "sweep"), help="make a part of them anew")
    given = parser.parse_args()
    if not given.check:
        for folder in make(given.only != "sweep", given.only != "acts"):
            print(folder)
    wrong = unsound()
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
