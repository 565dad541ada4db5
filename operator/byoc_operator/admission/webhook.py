"""The webhook, which runs in every replica: a server, and a task that renews its certificate."""

import asyncio
import logging
from collections.abc import Callable

from ..errors import OperatorError
from .certificates import not_after
from .server import AdmissionServer
from .storage import CertificateSource, Serving
from .webhook_configuration import WebhookConfiguration

log = logging.getLogger(__name__)

LOOK_S = 60.0
"""How often the certificate is checked. Another replica may have renewed it; the old one is valid for weeks more."""

RETRY_S = 2.0


class Webhook:
    """Server and certificate task. `configuration`: the object whose `caBundle` the task sets, None to set none."""

    def __init__(
        self, server: AdmissionServer, source: CertificateSource, configuration: WebhookConfiguration | None = None
    ) -> None:
        self._server = server
        self._source = source
        self._configuration = configuration
        self._used: Serving | None = None
        self.ends_at_s: float | None = None
        """When the certificate ends that is shown, epoch seconds; None: none is shown yet."""
        self._told = ""
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self, died: Callable[[], object]) -> None:
        """Listen, and start the certificate task. Raises OSError if the port is taken.

        `died`: called if the task ends.
        """
        await self._server.start()
        self._task = asyncio.create_task(self._keep(), name="admission certificate")
        self._task.add_done_callback(lambda _: None if self._stopping else died())

    async def leave(self) -> None:
        """Stop being ready, and answer requests until none come any more."""
        await self._server.leave()

    async def stop(self) -> None:
        """Close the port. Raises the exception with which the task ended, if it did."""
        self._stopping = True
        await self._server.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    def problem(self) -> str:
        """Why the port does not answer, or soon will not; empty if it answers."""
        return self._server.problem()

    async def look(self) -> bool:
        """Serve the present certificate and have the API server trust its authority. Returns whether that worked."""
        try:
            serving = await self._source.current()
            if self._used is None or self._used.authorities == serving.authorities:
                # The API server trusts these authorities already, or the server has no certificate at all yet.
                self._use(serving)
            if self._configuration is not None and serving.authorities:
                # Before the server uses a certificate of a new authority.
                await self._configuration.trust(serving.authorities)
            self._use(serving)
        except OperatorError as exc:
            if exc.message != self._told:
                log.warning("the webhook's certificate: %s", exc.message)
            self._told = exc.message
            return False
        self._told = ""
        return True

    def _use(self, serving: Serving) -> None:
        if serving != self._used:
            self._server.use(serving)
            self._used = serving
            self.ends_at_s = not_after(serving.certificate).timestamp()

    async def _keep(self) -> None:
        while True:
            good = await self.look()
            await asyncio.sleep(LOOK_S if good else RETRY_S)
