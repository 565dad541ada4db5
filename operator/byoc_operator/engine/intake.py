"""Takes in objects from watches and lists: it updates the cache and queues the phone numbers that need a run.

An object that cannot be read, or that meets a bug, does not keep the other objects from being taken in.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..api.names import PLURAL
from ..api.resource import Key, PhoneNumber
from ..cluster.reading import Unreadable
from ..errors import OperatorError
from .ports import IntakePorts
from .priority import Priority, followers
from .queue import WorkQueue
from .role import Role
from .tasks import Tasks

log = logging.getLogger(__name__)

SECRETS = "secrets"
"""The name of the resource in API paths."""

LIST_RETRY_S = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Pauses between attempts to list at start; the last one repeats."""


class Intake:
    """Takes in ByocPhoneNumbers and Secrets. While this replica leads, it queues the numbers that need a run."""

    def __init__(self, ports: IntakePorts, queue: WorkQueue, role: Role, tasks: Tasks) -> None:
        self._ports = ports
        self._queue = queue
        self._role = role
        self._tasks = tasks
        self._list_again: dict[str, bool] = {}
        self._one_list = {PLURAL: asyncio.Lock(), SECRETS: asyncio.Lock()}
        self._gone_meanwhile: set[tuple[str, str]] = set()
        self._listed_at = float("-inf")
        ports.cache.let_go.append(self.let_go)
        self.listed = False
        self.trouble = "the lists of numbers and Secrets are not read yet"
        """Why the lists cannot be read, for /readyz; empty after a success."""

    @property
    def age_s(self) -> float:
        """How long ago the first lists were read, in seconds."""
        return self._ports.clock() - self._listed_at

    async def first_lists(self) -> None:
        """List numbers, Secrets and sealing keys. Returns when the API server gave all of them."""
        await self.until_listed(self.list_all)
        self.listed, self._listed_at = True, self._ports.clock()

    def secrets_listed(self) -> None:
        """List the labelled Secrets when their watch begins: the watch does not report earlier changes."""
        self._relist(SECRETS)

    def numbers_listed(self) -> None:
        """List the numbers when their watch begins: the watch does not report earlier changes."""
        self._relist(PLURAL)

    def _relist(self, resource: str) -> None:
        """List in the background. If a list is under way already, another one follows it."""
        is_listed = resource in self._list_again
        self._list_again[resource] = True
        if not is_listed:
            self._tasks.run_once(self._list_while_due(resource), "list")

    async def _list_while_due(self, resource: str) -> None:
        try:
            while self._list_again[resource]:
                self._list_again[resource] = False
                await self.until_listed(self.list_numbers if resource == PLURAL else self._list_labelled_secrets)
        finally:
            del self._list_again[resource]

    def other_keys(self) -> None:
        """After a change of the sealing keys: queue the numbers whose credentials did not open before."""
        names = self._ports.secrets.forget_unopened()
        self._add_all([number for name in names for number in self._ports.cache.users_of(*name)])

    def number_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a ByocPhoneNumber. `kind`: the type of the watch event; None if it comes from a LIST."""
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        self._ports.unreadable.readable(PLURAL, key.namespace, key.name)
        if kind == "DELETED":
            self._vanished(key, metadata["uid"])
            return
        sighting = self._ports.cache.seen(raw)
        if sighting is not None and sighting.wakes:
            self._add(sighting.number, _priority(sighting.number))

    def let_go(self, phones: Collection[str]) -> None:
        """Queue the numbers of the objects that may get one of these numbers or aliases now."""
        for phone in phones:
            self._add_all(self._ports.cache.concerned(phone))

    def _vanished(self, key: Key, uid: str) -> None:
        known = self._ports.cache.gone(key, uid)
        if known is not None:
            self._add(known, Priority.USER)  # a claimant may get the number now

    def secret_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a labelled Secret. `kind`: as in `number_event`; a Secret that loses its label is DELETED, too."""
        metadata = raw["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        self._ports.unreadable.readable(SECRETS, namespace, name)
        secrets = self._ports.secrets
        if kind == "DELETED":
            secrets.forget(namespace, name)
            if self._one_list[SECRETS].locked():
                self._gone_meanwhile.add((namespace, name))
        elif not secrets.seen(raw):
            return
        self._add_all(self._ports.cache.users_of(namespace, name))

    def _add_all(self, numbers: Sequence[PhoneNumber]) -> None:
        """Queue all numbers that one change affects."""
        for number in numbers:
            self._add(number, followers(len(numbers)))

    def _add(self, number: PhoneNumber, priority: Priority) -> None:
        """Queue a number if this replica leads. A standby need not: a new leader begins with a sweep of all numbers."""
        if self._role.leading:
            self._queue.add(number.phone_number, priority, number.key.namespace)

    def passed_over(self, found: Unreadable) -> None:
        """Report an object in a watch that cannot be read."""
        self._ports.unreadable.told(found)

    async def list_all(self) -> None:
        """List the sealing keys, the labelled Secrets and the numbers, and take them in."""
        await self._ports.keeper.keys.load()  # first, because sealed values are opened as the Secrets are listed
        await self._list_labelled_secrets()
        await self.list_numbers()

    async def _list_labelled_secrets(self) -> None:
        """List the labelled Secrets, take them in, and forget those that the list does not have any more.

        A LIST shows the moment at which it began. A Secret that a watch reported as deleted since may still be in it.
        """
        async with self._one_list[SECRETS]:
            listed: set[tuple[str, str]] = set()
            self._gone_meanwhile.clear()
            self._ports.unreadable.listing(SECRETS)
            async for raw in self._ports.secrets.labelled():
                at = (raw["metadata"]["namespace"], raw["metadata"]["name"])
                listed.add(at)
                if at not in self._gone_meanwhile:
                    self._take_in(self.secret_event, raw, SECRETS)
            self._ports.unreadable.listed(SECRETS)
            for namespace, name in self._ports.secrets.labelled_but(listed):
                if not self._ports.unreadable.hides(SECRETS, namespace, name):
                    self.secret_event("DELETED", {"metadata": {"namespace": namespace, "name": name}})

    async def list_numbers(self) -> None:
        """List all numbers, take them in, and forget those that are gone: a watch does not report earlier deletions."""
        async with self._one_list[PLURAL]:
            listed: set[Key] = set()
            self._ports.unreadable.listing(PLURAL)
            async for raw in self._ports.numbers.all():
                listed.add(Key(raw["metadata"]["namespace"], raw["metadata"]["name"]))
                self._take_in(self.number_event, raw, PLURAL)
            self._ports.unreadable.listed(PLURAL)
            for number in list(self._ports.cache.all()):
                if number.key not in listed and await self._is_gone(number.key):
                    self._vanished(number.key, number.uid)

    def _take_in(
        self, event: Callable[[str | None, Mapping[str, Any]], None], raw: Mapping[str, Any], resource: str
    ) -> None:
        """Take in an object from a LIST. A bug in the handling of one object does not end the list."""
        try:
            event(None, raw)
        except Exception as exc:  # noqa: BLE001 - see above
            at = raw["metadata"]
            problem = f"a bug: {type(exc).__name__}"
            found = Unreadable(problem, resource, at["namespace"], at["name"], at["resourceVersion"])
            self._ports.unreadable.told(found)

    async def _is_gone(self, key: Key) -> bool:
        """Whether the API server has no object of this name. An object that cannot be read exists."""
        try:
            return (
                not self._ports.unreadable.hides(PLURAL, key.namespace, key.name)
                and await self._ports.numbers.get(key) is None
            )
        except Unreadable as exc:
            self._ports.unreadable.told(replace(exc, namespace=key.namespace, name=key.name))
            return False

    async def until_listed(self, list_once: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """List, and try again until it succeeds, with the pauses of `LIST_RETRY_S`."""
        attempt = 0
        while True:
            try:
                await list_once()
            except OperatorError as exc:
                if self.trouble != exc.message:
                    log.warning("cannot list yet: %s", exc.message)
                self.trouble = exc.message
                await asyncio.sleep(LIST_RETRY_S[min(attempt, len(LIST_RETRY_S) - 1)])
                attempt += 1
            else:
                self.trouble = ""
                return


def _priority(number: PhoneNumber) -> Priority:
    """REFRESH if the object asks for a refresh or recreate only; USER for any other change."""
    asked = number.refresh_due or number.recreate_due
    return Priority.REFRESH if asked and number.is_current and not number.deleting else Priority.USER
