"""Which files of libraries are left out."""

from pathlib import PurePosixPath

import pytest

from packing.never_loaded import is_never_loaded


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("aiohttp/client.py", False),
        ("aiohttp/_http_writer.pyi", True),
        ("aiohttp/__pycache__/client.cpython-313.pyc", True),
        ("kubernetes/aio/client/models/__init__.py", False),
        ("kubernetes/aio/client/models/v1_pod.py", True),
        ("kubernetes/aio/client/api_client.py", False),
        ("phonenumbers/data/region_DE.py", False),
        ("phonenumbers/geodata/data0.py", True),
        ("pygments-2.21.0.dist-info/METADATA", False),
    ],
)
def test_a_file_is_left_out(path: str, expected: bool) -> None:  # noqa: FBT001 - a table of expectations
    assert is_never_loaded(PurePosixPath(path)) is expected
