"""The bill of materials of the operator's image, as far as Python packages go."""

import subprocess
import sys
from pathlib import Path


def bill_of_materials(root: Path) -> str:
    """A CycloneDX document (JSON) with the packages of `requirements.lock`, their versions and hashes.

    The same lock gives the same text. The image's Debian packages are listed by the build of the image itself.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(root / "requirements.lock")]
    options = ["--pyproject", str(root / "pyproject.toml"), "--mc-type", "application", "--output-reproducible"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
