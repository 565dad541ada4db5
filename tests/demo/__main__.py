"""`python -m demo`: the tour, from an empty directory to an empty LiveKit. Status 1 at the first step that fails."""

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from demo.stage import DidNotHappen, Stage
from demo.tour import STEPS
from testbed import prepare, tools
from testbed.bed import Bed
from testbed.installed import start_operator
from testbed.part import NotReady
from testbed.tool import ToolMissing

ROOT = Path(__file__).parents[2]

SETTINGS = {"BYOC_SIP_URI": "livekit.talkifai.dev:5061", "BYOC_SWEEP_INTERVAL_SECONDS": "2"}


@click.command()
def main() -> None:
    """Start everything, play the tour, stop everything. Exit code 1 at the first step that fails."""
    sys.exit(_played())


def _played() -> int:
    """The exit code of the tour."""
    os.chdir(ROOT)  # the commands that are shown name files of the repository
    print("BYOC operator: a tour in seven steps, on a real Kubernetes API server and a real LiveKit server.")
    print("The programs that it runs:", flush=True)
    prepare.or_exit(tools.SHOWING)
    started = time.monotonic()
    with ExitStack() as running:
        try:
            stage = _set(running)
        except (NotReady, ToolMissing) as error:
            print(error, file=sys.stderr)
            return 1
        try:
            for step in STEPS:
                step(stage)
        except DidNotHappen as failure:
            stage.explain(failure)
            return 1
        except KeyboardInterrupt:
            print("\nstopped")
            return 130  # as a shell tells that Ctrl-C ended it
    print(f"\nDone: all {len(STEPS)} steps as claimed, {time.monotonic() - started:.0f} s in all.")
    print("Next: `make dev` keeps the same parts running for you to play with.")
    return 0


def _set(running: ExitStack) -> Stage:
    """A bed in a temporary directory and the operator on it. Raises NotReady or ToolMissing."""
    started = time.monotonic()
    print("Starting etcd, kube-apiserver, Redis, livekit-server and the operator …", flush=True)
    directory = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="byoc-demo-")))
    bed = running.enter_context(Bed.start(directory, tools.SHOWING))
    operator = start_operator(bed, SETTINGS)
    running.callback(operator.stop)
    print(f"All ready on 127.0.0.1 after {time.monotonic() - started:.0f} s.")
    print("The operator runs as the service account of deploy/base, with its rights and no others.", flush=True)
    return Stage(bed, operator)


if __name__ == "__main__":
    main(prog_name="python -m demo")
