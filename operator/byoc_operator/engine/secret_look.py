"""The look at Secrets whose changes no watch tells, and what of all Secrets and numbers is sealed."""

import asyncio
import logging

from ..api.conditions import Reason
from ..cluster.answers import ApiRefused
from ..cluster.reading import Unreadable
from ..errors import OperatorError, Unavailable
from .bugs import Bugs
from .ports import SecretPorts
from .priority import followers
from .queue import WorkQueue

log = logging.getLogger(__name__)

GETS_AT_ONCE = 8


class SecretLook:
    """Reads the Secrets without our label, and queues the numbers whose Secret has changed."""

    def __init__(self, ports: SecretPorts, queue: WorkQueue, bugs: Bugs) -> None:
        self._ports = ports
        self._queue = queue
        self._bugs = bugs

    async def look(self) -> list[OperatorError]:
        """One GET per distinct Secret that a number names and no watch tells of, a few at a time; what went wrong."""
        known = self._ports.secrets.known
        asked = [name for name in self._ports.cache.secrets() if not ((facts := known(*name)) and facts.watched)]
        troubles: list[OperatorError] = []
        for start in range(0, len(asked), GETS_AT_ONCE):
            answers = await asyncio.gather(*(self._ask(*name) for name in asked[start : start + GETS_AT_ONCE]))
            troubles += [answer for answer in answers if answer is not None]
        return troubles

    async def _ask(self, namespace: str, name: str) -> OperatorError | None:
        """Read a Secret, and queue its numbers if it has changed; why it could not be read, if so."""
        secrets = self._ports.secrets
        before = secrets.known(namespace, name)
        try:
            await secrets.fetch(namespace, name)
        except OperatorError as exc:
            # The numbers that use it find out in their own runs, and say so; the others must not wait for it.
            log.debug("Secret %s/%s cannot be read: %s", namespace, name, exc.message)
            return exc
        except Exception as exc:  # noqa: BLE001 - a bug that one Secret meets must not hide the others
            self._bugs.met("secrets", exc, f"while reading Secret {namespace}/{name}")
            return Unavailable(Reason.KUBERNETES_UNAVAILABLE, f"a Secret cannot be read ({type(exc).__name__})")
        after = secrets.known(namespace, name)
        if after is not None and (before is None or before.values != after.values or before.sealed != after.sealed):
            users = self._ports.cache.users_of(namespace, name)
            for number in users:
                self._queue.add(number.phone_number, followers(len(users)), namespace)  # news end a back-off
        return None


class SealedInUse:
    """What is sealed in the cluster, or was sealed when a number was last in step: its Secret may come back."""

    def __init__(self, ports: SecretPorts, secrets: SecretLook) -> None:
        self._ports = ports
        self._secrets = secrets

    def known(self) -> str:
        """A Secret with a sealed value, or a number whose status says that its credentials were sealed; else empty."""
        if secret := self._ports.secrets.any_sealed():
            return "Secret {}/{}".format(*secret)
        written = ((number.key, number.status.credentials) for number in self._ports.cache.all())
        numbers = (key for key, credentials in written if credentials is not None and credentials.sealed)
        return next((f"the credentials of number {key.namespace}/{key.name}" for key in numbers), "")

    async def found(self) -> str:
        """The same after a look at the Secrets without our label. One that may not be read may well be sealed.

        Raises `Unavailable` if a Secret cannot be read just now.
        """
        if used := self.known():
            return used
        troubles = await self._secrets.look()
        if used := self.known():
            return used
        for trouble in troubles:
            if not isinstance(trouble, ApiRefused | Unreadable):
                raise trouble
        return "perhaps a Secret that may not be read" if troubles else ""
