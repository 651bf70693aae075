"""`python -m workbench.assets`: make the shipped runs anew, or only check them."""

from __future__ import annotations

import argparse

from workbench.assets import make, unsound
from workbench.assets.tables import tables


def main() -> int:
    """Make or check; 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m workbench.assets", description=__doc__)
    parser.add_argument("--check", action="store_true", help="train nothing, say what is wrong")
    kinds = ("tables", "acts", "sweep")
    parser.add_argument("--only", choices=kinds, help="make a part of them anew")
    given = parser.parse_args()
    wanted = () if given.check else (given.only,) if given.only else kinds
    if "tables" in wanted:
        for file in tables():
            print(file)
    if {"acts", "sweep"} & set(wanted):
        for folder in make("acts" in wanted, "sweep" in wanted):
            print(folder)
    wrong = unsound()
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
