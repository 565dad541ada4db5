"""`python -m testbed`: the test bed in `.bed/`, kept running until Ctrl-C or SIGTERM."""

import shutil
import signal
import sys
import threading
from pathlib import Path

from testbed.bed import Bed
from testbed.part import NotReady
from testbed.tools import ToolMissing


def main() -> int:
    """Start the bed, print what a shell needs to use it, wait, stop it."""
    wanted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: wanted.set())
    directory = Path(".bed")
    if directory.exists():
        shutil.rmtree(directory)  # the last bed's keys and storage are of no use to a new one
    try:
        bed = Bed.start(directory)
    except (NotReady, ToolMissing) as error:
        print(error, file=sys.stderr)
        return 1
    with bed:
        print(f"export KUBECONFIG={bed.kubeconfig}")
        for name, value in bed.livekit_environment().items():
            print(f"export {name}={value}")
        print(f"# running; logs in {bed.directory}; Ctrl-C ends it", flush=True)
        wanted.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
