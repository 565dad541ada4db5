"""Sealing as a user does it: `kubectl byoc`, and the keys in the operator's namespace."""

import base64
import json
import subprocess
import sys
from pathlib import Path

from byoc_operator.sealing.sealed import KeyRing
from integration.deployment import NEVER
from integration.scene import GOOD_SECRET, Scene
from testbed.process import clean_environment

SYSTEM, KEYS = "byoc-system", "byoc-sealing-keys"
EXECUTABLE = Path(sys.executable).parent / "kubectl-byoc"
INPUT = f"{GOOD_SECRET['username']}\n{GOOD_SECRET['password']}\n"


def byoc(
    scene: Scene, *args: str, stdin: str = "", check: bool = True, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `kubectl-byoc` as a user does."""
    home = {"KUBECONFIG": str(kubeconfig or scene.bed.kubeconfig), "HOME": str(scene.bed.directory)}
    done = subprocess.run(
        [str(EXECUTABLE), *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=clean_environment() | home,
        timeout=60,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    assert GOOD_SECRET["password"] not in done.stdout + done.stderr
    return done


def ring(scene: Scene) -> KeyRing:
    """The keys as they are in the cluster."""
    stored = scene.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, "-o", "json").stdout
    return KeyRing.parse(base64.b64decode(json.loads(stored)["data"]["keys"]).decode())


def no_keys(scene: Scene) -> None:
    scene.bed.kubectl("-n", SYSTEM, "delete", "secret", KEYS, "--ignore-not-found")


def sealed(scene: Scene, name: str = "sip") -> None:
    """What the guide says: seal, apply."""
    made = byoc(scene, "seal", name, "-n", scene.namespace, stdin=INPUT).stdout
    scene.kubectl("apply", "-f", "-", stdin=made)


def with_keys(scene: Scene) -> Scene:
    """The scene with an operator without sweeps, after it has made its keys."""
    scene.deployment.ensure(NEVER)
    scene.until(lambda: has_keys(scene), "the keys are made")
    return scene


def has_keys(scene: Scene) -> bool:
    """Whether the operator's namespace has the Secret with the keys."""
    return scene.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, check=False).returncode == 0
