"""A cluster in memory for every test that wants one."""

import pytest

from kubectl import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()
