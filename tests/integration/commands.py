"""`kubectl byoc` beside an operator whose Deployment and Secrets say what its process was told."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from integration.deployment import INSTALLATION, SETTINGS
from integration.scene import Scene
from integration.sealed import EXECUTABLE, SYSTEM
from testbed.bed import Bed
from testbed.process import clean_environment

DEPLOYMENT = "deployment/byoc-operator"


@contextmanager
def told_deployment(bed: Bed, **changes: str) -> Iterator[None]:
    """The Deployment of deploy/base says where LiveKit is and what the operator adds to numbers, while this is open."""
    told = {
        "LIVEKIT_URL": bed.livekit.url,
        "BYOC_INSTALLATION_ID": INSTALLATION,
        "BYOC_SIP_URI": SETTINGS["BYOC_SIP_URI"],
        **changes,
    }
    set_env = ("-n", SYSTEM, "set", "env", DEPLOYMENT)
    bed.kubectl(*set_env, *(f"{name}={text}" for name, text in told.items()))
    try:
        yield
    finally:
        bed.kubectl(*set_env, *(f"{name}-" for name in told))


@contextmanager
def livekit_secret(bed: Bed) -> Iterator[None]:
    """The Secret of LiveKit's key, which the Deployment mounts, while this is open."""
    keys = {"LIVEKIT_API_KEY": bed.livekit.key, "LIVEKIT_API_SECRET": bed.livekit.secret}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "livekit", "namespace": SYSTEM},
        "stringData": keys,
    }
    bed.kubectl("apply", "-f", "-", stdin=json.dumps(secret))
    try:
        yield
    finally:
        bed.kubectl("-n", SYSTEM, "delete", "secret", "livekit", "--ignore-not-found")


def user_environment(bed: Bed, **changes: str) -> dict[str, str]:
    """What a user's shell has: the kubeconfig, and nothing of the developer's own."""
    return clean_environment() | {"KUBECONFIG": str(bed.kubeconfig), "HOME": str(bed.directory)} | changes


def run(
    scene: Scene, *args: str, stdin: str = "", changes: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `kubectl-byoc` in a pipe."""
    return subprocess.run(
        [str(EXECUTABLE), *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=user_environment(scene.bed, **(changes or {})),
        cwd=folder,
        timeout=120,
        check=False,
    )
