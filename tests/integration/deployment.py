"""The operator as `deploy/base` installs it, in a process of its own, with a counting proxy before LiveKit."""

import json
from collections.abc import Mapping
from typing import Any

from testbed.bed import Bed
from testbed.http_probe import get
from testbed.livekit_proxy import LiveKitProxy
from testbed.operator_process import OperatorProcess

USER = "system:serviceaccount:byoc-system:byoc-operator"
INSTALLATION = "test-installation"
SETTINGS = {
    "BYOC_INSTALLATION_ID": INSTALLATION,
    "BYOC_SIP_URI": "sip.voice.example:5061",
    "BYOC_SWEEP_INTERVAL_SECONDS": "1",
}
NEVER = {"BYOC_SWEEP_INTERVAL_SECONDS": "3600"}
"""No sweep but the first one: the operator learns of changes by watches only."""

_LOG_TAIL_LINES = 25


class Deployment:
    """One replica, not running at first; it may be stopped and started again, always with the same log."""

    def __init__(self, bed: Bed, proxy: LiveKitProxy, name: str) -> None:
        self.bed = bed
        self.proxy = proxy
        self._name = name
        self._kubeconfig = bed.service_account_kubeconfig("byoc-system", "byoc-operator")
        self._settings: dict[str, str] = {}
        self._process: OperatorProcess | None = None

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.exit_code is None

    @property
    def process(self) -> OperatorProcess:
        """The running process."""
        if self._process is None:
            raise RuntimeError("the operator does not run")
        return self._process

    def launch(self, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """Start with `SETTINGS` and these, without waiting; one that runs is stopped before."""
        self.stop()
        self._settings = SETTINGS | dict(settings or {})
        self._process = OperatorProcess.on(
            self.bed, self._kubeconfig, livekit_url=self.proxy.url, settings=self._settings, name=self._name
        )
        return self._process

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start and wait until it is ready."""
        self.launch(settings).wait_ready()

    def ensure(self, settings: Mapping[str, str] | None = None) -> None:
        """Run with these settings; nothing happens if it does already."""
        if not self.runs or self._settings != SETTINGS | dict(settings or {}):
            self.start(settings)

    def restart(self) -> None:
        """Stop and start with the same settings."""
        self.start(self._settings)

    def stop(self) -> None:
        """SIGTERM, and wait for the clean end that is due; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is None or process.exit_code is not None:
            return
        ending = process.stop()
        assert ending.exit_code == 0, f"a stop ended with {ending.exit_code}\n{_tail(process)}"

    def kill(self) -> None:
        """Crash it, and forget its Lease: how long the next one waits for that is `test_leader_election`'s matter."""
        process, self._process = self._process, None
        if process:
            process.kill()
            self.bed.kubectl("-n", "byoc-system", "delete", "lease", "byoc-operator", "--ignore-not-found")

    def replica(self, name: str, livekit_url: str, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """One more process of the same deployment, which the caller stops; not waited for."""
        chosen = SETTINGS | dict(settings or {})
        return OperatorProcess.on(
            self.bed, self._kubeconfig, livekit_url=livekit_url, settings=chosen, name=f"{self._name}-{name}"
        )

    def kept_alive(self) -> int | None:
        """Start it again if it ended by itself, as a kubelet does; the exit code with which it had."""
        ended = None if self._process is None else self._process.exit_code
        if ended is not None:
            self.start(self._settings)
        return ended

    def readyz(self) -> dict[str, Any]:
        """The body of /readyz; empty while nobody answers."""
        found: dict[str, Any] = json.loads(get(self.process.port, "/readyz").body or "{}")
        return found

    def sweeps(self) -> float:
        """How many sweeps it has finished."""
        return self.process.metrics().get('byoc_sweeps_total{result="done"}', 0)

    def log_tail(self) -> str:
        """The end of its log."""
        if self._process is None:
            return "(the operator does not run)"
        return _tail(self._process)


def _tail(process: OperatorProcess) -> str:
    return "\n".join(process.log_text().splitlines()[-_LOG_TAIL_LINES:])
