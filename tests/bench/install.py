"""Prepares a new bed for a run: `deploy/base`, optionally the admission policy, and an account for the bare client."""

import asyncio
import json
import os
from pathlib import Path

import yaml

from bench.kube import Kube
from bench.objects import FINALIZER, number, numbers_path
from bench.watcher import NotReached
from testbed.bed import Bed

SYSTEM = "byoc-system"
OPERATOR = "byoc-operator"
BARE = "bench-bare"
_DEPLOY = Path(__file__).parents[2] / "deploy"
_POLICY = _DEPLOY / "components" / "finalizer-policy"
_POLICY_WITHIN_S = 30.0


def install(bed: Bed, *, policy: bool) -> None:
    """Apply the operator's objects, and give the bare client the same rights."""
    bed.kubectl("apply", "-k", str(_overlay(bed) if policy else _DEPLOY / "base"))
    bed.wait_for_crd()
    bed.kubectl("create", "serviceaccount", BARE, f"--namespace={SYSTEM}")
    bed.kubectl("create", "clusterrolebinding", BARE, f"--clusterrole={OPERATOR}", f"--serviceaccount={SYSTEM}:{BARE}")


async def policy_works(kube: Kube, namespace: str) -> None:
    """Wait until a number that is created would have the finalizer. Raises NotReached."""
    deadline = asyncio.get_running_loop().time() + _POLICY_WITHIN_S
    while True:
        answer = await kube.request("POST", f"{numbers_path(namespace)}?dryRun=All", number(namespace, 0, "none"))
        if FINALIZER in json.loads(answer)["metadata"].get("finalizers", ()):
            return
        if asyncio.get_running_loop().time() > deadline:
            raise NotReached(f"the admission policy sets no finalizer after {_POLICY_WITHIN_S:.0f} s")
        await asyncio.sleep(0.25)


def user(account: str) -> str:
    """The service account's name in the audit log."""
    return f"system:serviceaccount:{SYSTEM}:{account}"


def _overlay(bed: Bed) -> Path:
    folder = bed.directory / "overlay"
    folder.mkdir()
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(_DEPLOY / "base", folder)],  # kustomize refuses absolute paths
        "components": [os.path.relpath(_POLICY, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder
