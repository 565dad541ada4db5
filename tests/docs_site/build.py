"""One build of the site, in a folder of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

from byoc_operator.generate.version import project_version
from docs_site.pages import CONFIG, WrongPageError, site_config, write_pages

_TIMEOUT_S = 120
"""A build takes two seconds."""


def build(root: Path, folder: Path, url: str = "") -> Path:
    """The folder with the HTML of the site. `folder` is made anew. `url` is where the site will be, if known."""
    shutil.rmtree(folder, ignore_errors=True)
    write_pages(root, folder / "pages")
    config = folder / CONFIG
    config.write_text(site_config(root, project_version(root), url), encoding="utf-8")
    command = [sys.executable, "-Im", "zensical", "build", "--strict", "--clean", "-f", str(config)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        told = (done.stdout + done.stderr).partition("\nTraceback ")[0]
        raise WrongPageError(f"{told}\nThe pages are copies in {folder / 'pages'}.")
    return folder / "html"
