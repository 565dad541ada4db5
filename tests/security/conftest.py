"""Attacks on the test bed by a tenant with rights in one namespace; the numbers of another one must go on."""

from collections.abc import Iterator

import pytest

from integration.fixtures import deployment, installed, scene, stage
from integration.scene import Scene
from security.tenant import Tenant
from testbed.bed import Bed

__all__ = ["deployment", "installed", "scene", "stage", "tenant"]


@pytest.fixture
def tenant(installed: Bed, scene: Scene) -> Iterator[Tenant]:
    """The attacker: the role `edit` in a namespace of its own. The namespace of `scene` is somebody else's."""
    made = Tenant.settled(installed)
    yield made
    made.leave(scene)
