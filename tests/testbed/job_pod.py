"""Plays kubelet for a pod that ends by itself, such as that of `helm test`."""

import json
import subprocess
import time
from pathlib import Path

from testbed.bed import Bed
from testbed.name_files import name_files
from testbed.pod_files import environment, mounts
from testbed.pod_spec import Json, NotPlayed
from testbed.program import Program
from testbed.sandbox import sandbox

_POLL_S = 0.1


def run_pod(bed: Bed, program: Program, namespace: str, name: str, within_s: float = 60) -> tuple[int, str]:
    """Wait for the pod, run its one container to the end, and write the phase; exit code and output.

    The names of Services stand in /etc/hosts, in place of the cluster's DNS. Raises TimeoutError.
    """
    pod = _found(bed, namespace, name, within_s)
    spec = pod["spec"]
    (container,) = spec["containers"]
    if spec["restartPolicy"] != "Never" or "command" in container:
        raise NotPlayed("a pod that starts again, or with a command of its own")
    spec["hostAliases"] = _services(bed, namespace)
    folder = bed.directory / "pods" / f"{name}-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    places: list[str | Path] = [*mounts(bed, pod, folder / "volumes"), *name_files(spec, folder / "names")]
    walls = sandbox(program, spec, name, places)
    command = [*walls, *program.entrypoint, *container.get("args", program.command)]
    variables = dict(program.environment) | environment(bed, pod)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=within_s, check=False)
    phase = json.dumps({"status": {"phase": "Failed" if done.returncode else "Succeeded"}})
    bed.kubectl("patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", phase)
    return done.returncode, done.stdout + done.stderr


def _found(bed: Bed, namespace: str, name: str, within_s: float) -> Json:
    """The pod, once the scheduler and kwok have seen it, and before anybody has run it."""
    deadline = time.monotonic() + within_s
    while True:
        found = bed.kubectl("get", "pod", name, "-n", namespace, "-o", "json", "--ignore-not-found").stdout
        pod: Json = json.loads(found or "{}")
        if pod.get("status", {}).get("phase") == "Running":
            return pod
        if time.monotonic() > deadline:
            raise TimeoutError(f"there is no running pod {name} after {within_s} s")
        time.sleep(_POLL_S)


def _services(bed: Bed, namespace: str) -> list[Json]:
    found = json.loads(bed.kubectl("get", "services", "-n", namespace, "-o", "json").stdout)["items"]
    return [
        {"ip": each["spec"]["clusterIP"], "hostnames": [f"{each['metadata']['name']}.{namespace}.svc"]}
        for each in found
    ]
