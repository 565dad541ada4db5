"""Reads the Secrets that no watch reports, and finds out whether sealed values are in use."""

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
        """GET each Secret that a number names and no watch reports, `GETS_AT_ONCE` at a time; returns the errors."""
        known = self._ports.secrets.known
        asked = [name for name in self._ports.cache.secrets() if not ((facts := known(*name)) and facts.watched)]
        troubles: list[OperatorError] = []
        for start in range(0, len(asked), GETS_AT_ONCE):
            answers = await asyncio.gather(*(self._ask(*name) for name in asked[start : start + GETS_AT_ONCE]))
            troubles += [answer for answer in answers if answer is not None]
        return troubles

    async def _ask(self, namespace: str, name: str) -> OperatorError | None:
        """Read a Secret, and queue its numbers if it has changed. Returns the error if the Secret cannot be read."""
        secrets = self._ports.secrets
        before = secrets.known(namespace, name)
        try:
            await secrets.fetch(namespace, name)
        except OperatorError as exc:
            # The runs of the numbers that use this Secret meet the same error and report it.
            log.debug("Secret %s/%s cannot be read: %s", namespace, name, exc.message)
            return exc
        except Exception as exc:  # noqa: BLE001 - a bug with one Secret must not keep the others from being read
            self._bugs.met("secrets", exc, f"while reading Secret {namespace}/{name}")
            return Unavailable(Reason.KUBERNETES_UNAVAILABLE, f"a Secret cannot be read ({type(exc).__name__})")
        after = secrets.known(namespace, name)
        if after is not None and (before is None or before.values != after.values or before.sealed != after.sealed):
            users = self._ports.cache.users_of(namespace, name)
            for number in users:
                self._queue.add(number.phone_number, followers(len(users)), namespace)  # a new Secret ends a back-off
        return None


class SealedInUse:
    """Finds out whether the cluster has sealed values.

    A number whose credentials were sealed at the last write counts, too: its Secret may come back.
    """

    def __init__(self, ports: SecretPorts, secrets: SecretLook) -> None:
        self._ports = ports
        self._secrets = secrets

    def known(self) -> str:
        """The first use of a sealed value in words: a Secret, or a number whose credentials were sealed; else empty."""
        if secret := self._ports.secrets.any_sealed():
            return "Secret {}/{}".format(*secret)
        every = self._ports.cache.all()
        numbers = (each.key for each in every if any(used.sealed for used in each.status.written.values()))
        return next((f"the credentials of number {key.namespace}/{key.name}" for key in numbers), "")

    async def found(self) -> str:
        """As `known`, after reading the Secrets without our label. A Secret that the operator may not read counts.

        Raises `Unavailable` if the API server does not answer.
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
