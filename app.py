"""Opens the Distillation Workbench: `python app.py`, then http://127.0.0.1:7860.

`python app.py --check` says whether all is in order here, for the minute before a class.
"""

try:  # on a ZeroGPU Space this has to come before torch
    import spaces  # type: ignore[import-not-found]  # noqa: F401
except ImportError:
    pass

from workbench.ui._serve import main

if __name__ == "__main__":
    raise SystemExit(main())
