"""What the libraries bring and our programs never load."""

from pathlib import PurePath

FOLDERS = (
    *("kubernetes/client/api", "kubernetes/client/models", "kubernetes/aio/client/api", "kubernetes/aio/client/models"),
    *("phonenumbers/carrierdata", "phonenumbers/geodata", "phonenumbers/tzdata", "pygments", "tzdata"),
)
"""Folders of which at most `__init__.py` is loaded: half of all files.

Our requests need no typed objects of Kubernetes, rich colours no source code, and times are in UTC.
"""


def is_never_loaded(path: PurePath) -> bool:
    """Whether a file, named by its path below `site-packages`, is never loaded."""
    if path.suffix == ".pyi" or "__pycache__" in path.parts:
        return True
    return path.name != "__init__.py" and path.as_posix().startswith(tuple(f"{folder}/" for folder in FOLDERS))
