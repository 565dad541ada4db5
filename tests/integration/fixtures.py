"""Fixtures of the operator on the test bed: one process per test module, one namespace per test.

A folder of tests that wants them imports them in its conftest.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.deployment import Deployment
from integration.scene import Scene
from testbed.bed import Bed
from testbed.livekit_proxy import LiveKitProxy

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(bed: Bed) -> Bed:
    """The bed with everything of deploy/base."""
    bed.kubectl("apply", "-k", str(ROOT / "deploy/base"), timeout_s=120)
    bed.wait_for_crd()
    return bed


@pytest.fixture(scope="module")
def deployment(installed: Bed, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The module's operator, not started yet, behind a proxy of its own."""
    with LiveKitProxy(installed.livekit.url) as proxy:
        made = Deployment(installed, proxy, request.path.stem)
        yield made
        made.stop()


@pytest.fixture
def stage(deployment: Deployment, namespace: str) -> Iterator[Scene]:
    """A scene whose operator the test starts itself; cleared in the end, so that nothing disturbs the next one."""
    scene = Scene(deployment, namespace)
    yield scene
    deployment.proxy.clear()
    _clear(scene)


@pytest.fixture
def scene(deployment: Deployment, stage: Scene) -> Scene:
    """A scene with the operator running as `deployment.SETTINGS` says."""
    deployment.ensure()
    return stage


def _clear(scene: Scene) -> None:
    """Delete everything, without the operator where it does not run."""
    names = [number["metadata"]["name"] for number in scene.all()]
    if names:
        scene.kubectl("delete", "bpn", "--all", "--wait=false")
    if not scene.deployment.runs:
        if names:
            no_finalizers = '{"metadata": {"finalizers": null}}'
            scene.kubectl("patch", "bpn", *names, "--type=merge", "-p", no_finalizers, check=False)
    elif not scene.found_within(lambda: not scene.all(), 3):
        # A create that was left without an answer on purpose must not keep the next test waiting for a minute.
        scene.kubectl("annotate", "bpn", "--all", "--overwrite", "byoc.talkifai.dev/force-orphan=true", check=False)
    scene.until(lambda: not scene.all(), "all numbers are gone", within_s=60)
    scene.sip.clear()
