"""`python -m testbed`: the test bed and the operator in `.bed/`, kept running until Ctrl-C or SIGTERM."""

import shutil
import signal
import sys
import threading
from pathlib import Path

import click

from testbed import prepare, tools
from testbed.bed import Bed
from testbed.installed import start_operator
from testbed.operator_process import OperatorProcess
from testbed.part import NotReady
from testbed.tool import ToolMissing

_SETTINGS = {"BYOC_SIP_URI": "livekit.talkifai.dev:5061", "BYOC_SWEEP_INTERVAL_SECONDS": "5"}


@click.command()
def main() -> None:
    """Start the test bed and the operator in .bed/, print what a shell needs to use them, run until Ctrl-C."""
    prepare.or_exit(tools.DEVELOPING)  # before Ctrl-C means "stop the parts"
    wanted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: wanted.set())
    directory = Path(".bed")
    if directory.exists():
        shutil.rmtree(directory)  # the last bed's keys and storage are of no use to a new one
    try:
        with Bed.start(directory, tools.DEVELOPING) as bed:
            operator = start_operator(bed, _SETTINGS)
            try:
                _serve(bed, operator, wanted)
            finally:
                operator.stop()
    except (NotReady, ToolMissing) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _serve(bed: Bed, operator: OperatorProcess, wanted: threading.Event) -> None:
    bed.kubectl("create", "namespace", "voice")
    print(_instructions(bed, operator), flush=True)
    wanted.wait()
    print("stopping …", flush=True)


def _instructions(bed: Bed, operator: OperatorProcess) -> str:
    programs = bed.directory / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(tools.find(tools.KUBECTL))
    exports = {"KUBECONFIG": str(bed.kubeconfig), **bed.livekit_environment()}
    return "\n".join(
        [
            "# In another shell, from the root of the repository:",
            *(f"export {name}={value}" for name, value in exports.items()),
            f'export PATH="{programs}:{Path(sys.executable).parent}:$PATH"  # kubectl, kubectl byoc',
            "",
            "# then for example:",
            "kubectl apply -f deploy/samples/twilio.yaml -f deploy/samples/telnyx.yaml",
            "kubectl get bpn -n voice -o wide --watch",
            "kubectl explain bpn.spec",
            "kubectl annotate bpn main-support -n voice --overwrite byoc.talkifai.dev/refresh=$(date +%s)",
            f"curl http://127.0.0.1:{operator.port}/readyz    # also /metrics",
            f"tail -f {operator.log}",
            "",
            "# Running. Ctrl-C stops everything.",
        ]
    )


if __name__ == "__main__":
    main(prog_name="python -m testbed")
