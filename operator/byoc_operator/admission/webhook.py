"""The webhook as it runs in every replica: a server, and a task that keeps its certificate good."""

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
"""How often the certificate is looked at. Another replica may have renewed it; the old one is still good for weeks."""

RETRY_S = 2.0


class Webhook:
    """`configuration`: the object whose `caBundle` this task keeps right; None if somebody else keeps it right."""

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
        """Listen, and keep the certificate good. `died` is called if that ends. Raises OSError if the port is taken."""
        await self._server.start()
        self._task = asyncio.create_task(self._keep(), name="admission certificate")
        self._task.add_done_callback(lambda _: None if self._stopping else died())

    async def leave(self) -> None:
        """Be ready no more, and go on answering until nobody asks."""
        await self._server.leave()

    async def stop(self) -> None:
        """Close the port. Raises what the task died of."""
        self._stopping = True
        await self._server.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    def problem(self) -> str:
        """Why the port does not answer, or will not for long; empty: all is well."""
        return self._server.problem()

    async def look(self) -> bool:
        """Have the right certificate in use and trusted; whether that is so."""
        try:
            serving = await self._source.current()
            if self._used is None or self._used.authorities == serving.authorities:
                self._use(serving)  # nobody has to be told; or better than none, even if nobody can be
            if self._configuration is not None and serving.authorities:
                await self._configuration.trust(serving.authorities)  # before anything by a new one is shown
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
