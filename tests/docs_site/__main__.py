"""`python -m docs_site`: build the documentation site into `.site/html`. It needs no network."""

import os
import sys
from pathlib import Path

from docs_site.build import build
from docs_site.pages import WrongPageError

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Build the site, or say what is wrong with it."""
    try:
        print(build(ROOT, ROOT / ".site", os.environ.get("SITE_URL", "")) / "index.html")
    except WrongPageError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
