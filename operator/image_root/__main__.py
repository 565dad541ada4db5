"""`python3 -m image_root trim|system|finish`: the steps of deploy/Dockerfile."""

import argparse
import os
from pathlib import Path

from .system import make_system
from .tidying import compile_modules, date, trim


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(prog="image_root", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    trimmed = steps.add_parser("trim", help="take out of a virtual environment what is never loaded")
    trimmed.add_argument("environment", type=Path)
    trimmed.add_argument("site", type=Path)
    system = steps.add_parser("system", help="copy Python and the shared libraries that it and site-packages load")
    system.add_argument("site", type=Path)
    system.add_argument("into", type=Path)
    finished = steps.add_parser("finish", help="compile all modules below a root, and date all files SOURCE_DATE_EPOCH")
    finished.add_argument("root", type=Path)
    told = parser.parse_args()
    if told.step == "trim":
        trim(told.environment, told.site)
    elif told.step == "system":
        make_system(told.site, told.into)
    else:
        compile_modules(told.root)
        date(told.root, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))


if __name__ == "__main__":
    main()
