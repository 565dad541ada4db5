"""Shows what the tour runs, and checks what it claims: the first thing that does not happen ends the tour."""

import shlex
import subprocess
import textwrap
import time
from collections.abc import Callable
from typing import TypeVar

from demo.livekit_view import Lists, LiveKitView
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess

NAMESPACE = "voice"

_POLL_S = 0.1
_WITHIN_S = 20.0
"""Generous: on a loaded build machine everything takes ten times as long."""
_WIDTH = 100
_CHANGES = "byoc_livekit_changes_total"
_LOG_TAIL_LINES = 25

_Seen = TypeVar("_Seen")


class DidNotHappen(Exception):
    """What was expected did not come; `about` names the object to look at, as `kubectl get` wants it."""

    def __init__(self, expected: str, about: str) -> None:
        super().__init__(expected)
        self.about = about


class Stage:
    """What the steps play on: a bed, the operator on it, LiveKit seen for itself, and the terminal."""

    def __init__(self, bed: Bed, operator: OperatorProcess) -> None:
        self._bed = bed
        self._operator = operator
        self._steps = 0
        self.livekit = LiveKitView(bed.livekit_environment())

    def heading(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        line = f"{self._steps}. {title}"
        print(f"\n\n{line}\n{'-' * len(line)}", flush=True)

    def say(self, text: str) -> None:
        """Tell something, wrapped."""
        print("\n" + textwrap.fill(text, _WIDTH), flush=True)

    def show(self, *lines: str) -> None:
        """Show output, indented."""
        print("\n".join(f"    {line}".rstrip() for line in lines), flush=True)

    def run(self, *args: str, secret: str | None = None) -> str:
        """Run kubectl as a user would, shown with its output; `secret` is shown as stars. Ends the tour if it fails."""
        done = self._kubectl(args, secret)
        self.show(*done.stdout.splitlines(), *done.stderr.splitlines())
        if done.returncode != 0:
            raise DidNotHappen(f"kubectl {args[0]} succeeds", "bpn")
        return done.stdout

    def run_refused(self, *args: str) -> str:
        """Run kubectl, shown with its refusal, which is the result. Ends the tour if it succeeds."""
        done = self._kubectl(args, None)
        for line in done.stderr.splitlines():
            self.show(*textwrap.wrap(line, _WIDTH, break_on_hyphens=False))
        if done.returncode == 0:
            raise DidNotHappen(f"kubectl {args[0]} is refused", "bpn")
        return done.stderr

    def run_describe(self, name: str) -> str:
        """Run kubectl describe and show its last part, the Events."""
        done = self._kubectl(("describe", "bpn", name, "-n", NAMESPACE), None)
        _, heading, events = done.stdout.rpartition("\nEvents:")
        self.show("[…]", *f"{heading.lstrip()}{events}".splitlines())
        return events

    def read(self, name: str, path: str) -> str:
        """A field of a number, such as `.status.inboundTrunkId`; nothing is shown."""
        args = ("get", "bpn", name, f"--namespace={NAMESPACE}", f"--output=jsonpath={{{path}}}")
        return self._bed.kubectl(*args, check=False).stdout

    def replaced(self) -> float:
        """How many LiveKit objects the operator has replaced in place so far, by its own metrics."""
        counted = self._operator.metrics()
        return sum(n for name, n in counted.items() if name.startswith(_CHANGES) and 'verb="replace"' in name)

    def check(self, what: str, about: str, *, holds: bool) -> None:
        """State something that is so now. Ends the tour if it is not."""
        if not holds:
            raise DidNotHappen(what, about)
        print(f"  ✓ {what}", flush=True)

    def expect(self, what: str, about: str, look: Callable[[], _Seen | None]) -> _Seen:
        """Wait until `look` finds something, and say how long it took. Ends the tour if it takes too long."""
        started = time.monotonic()
        while not (seen := look()):
            if time.monotonic() - started > _WITHIN_S:
                raise DidNotHappen(f"{what} within {_WITHIN_S:.0f} s", about)
            time.sleep(_POLL_S)
        print(f"  ✓ {what} ({time.monotonic() - started:.1f} s)", flush=True)
        return seen

    def show_livekit(self) -> Lists:
        """Show LiveKit's own lists."""
        lists = self.livekit.lists()
        self.say("LiveKit itself lists:")
        self.show(*lists.lines())
        return lists

    def explain(self, failure: DidNotHappen) -> None:
        """What a person needs to find out why."""
        print(f"\n✗ This did not happen: {failure}\n\nThe object:", flush=True)
        args = [
            "get",
            *failure.about.split(),
            f"--namespace={NAMESPACE}",
            "--output=yaml",
            "--show-managed-fields=false",
        ]
        found = self._bed.kubectl(*args, check=False)
        self.show(*(found.stdout or found.stderr).splitlines())
        print("\nThe end of the operator's log:", flush=True)
        self.show(*self._operator.log_text().splitlines()[-_LOG_TAIL_LINES:])

    def _kubectl(self, args: tuple[str, ...], secret: str | None) -> subprocess.CompletedProcess[str]:
        command = shlex.join(("kubectl", *args))
        print(f"\n$ {command.replace(secret, '********') if secret else command}", flush=True)
        return self._bed.kubectl(*args, check=False, timeout_s=60)
