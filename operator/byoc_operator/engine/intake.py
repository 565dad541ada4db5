"""The intake of what the cluster tells, by watches and by lists: into the cache, and as runs into the queue.

No object keeps the others out.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
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
"""The resource, as paths name it."""

LIST_RETRY_S = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Pauses between attempts to list at start; the last one repeats."""


class Intake:
    """Takes in numbers and Secrets, and queues the numbers that have to run while this replica leads."""

    def __init__(self, ports: IntakePorts, queue: WorkQueue, role: Role, tasks: Tasks) -> None:
        self._ports = ports
        self._queue = queue
        self._role = role
        self._tasks = tasks
        self._once_more: dict[str, bool] = {}
        self._one_list = {PLURAL: asyncio.Lock(), SECRETS: asyncio.Lock()}
        self._gone_meanwhile: set[tuple[str, str]] = set()
        self._listed_at = float("-inf")
        self.listed = False
        self.trouble = "the lists of numbers and Secrets are not read yet"
        """What keeps the lists from being read, in words, empty if nothing does."""

    @property
    def age_s(self) -> float:
        """How long ago the first lists were read, in seconds."""
        return self._ports.clock() - self._listed_at

    async def first_lists(self) -> None:
        """List everything. Waits for the API server."""
        await self.patiently(self.list_all)
        self.listed, self._listed_at = True, self._ports.clock()

    def secrets_listed(self) -> None:
        """A watch of labelled Secrets begins. It does not tell what happened before, so they are listed."""
        self._relist(SECRETS)

    def numbers_listed(self) -> None:
        """A watch of numbers begins. It does not tell what happened before, so they are listed."""
        self._relist(PLURAL)

    def _relist(self, resource: str) -> None:
        """List in the background while the watch goes on; once more if this is asked for meanwhile."""
        is_listed = resource in self._once_more
        self._once_more[resource] = True
        if not is_listed:
            self._tasks.run_once(self._list_while_due(resource), "list")

    async def _list_while_due(self, resource: str) -> None:
        try:
            while self._once_more[resource]:
                self._once_more[resource] = False
                await self.patiently(self.look_again if resource == PLURAL else self._look_at_labelled)
        finally:
            del self._once_more[resource]

    def other_keys(self) -> None:
        """There are other sealing keys than before: numbers run again whose credentials did not open."""
        names = self._ports.secrets.forget_unopened()
        self._add_all([number for name in names for number in self._ports.cache.users_of(*name)])

    def number_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch or a LIST told of a number; `kind` is DELETED, ADDED, MODIFIED or None."""
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        self._ports.unread.readable(PLURAL, key.namespace, key.name)
        if kind == "DELETED":
            self._vanished(key, metadata["uid"])
            return
        sighting = self._ports.cache.seen(raw)
        if sighting is not None and sighting.wakes:
            self._add(sighting.number, _priority(sighting.number))

    def _vanished(self, key: Key, uid: str) -> None:
        known = self._ports.cache.gone(key, uid)
        if known is not None:
            self._add(known, Priority.USER)  # somebody else may have waited for the number

    def secret_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch or a LIST told of a labelled Secret. DELETED also means: it lost its label."""
        metadata = raw["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        self._ports.unread.readable(SECRETS, namespace, name)
        secrets = self._ports.secrets
        if kind == "DELETED":
            secrets.forget(namespace, name)
            if self._one_list[SECRETS].locked():
                self._gone_meanwhile.add((namespace, name))
        elif not secrets.seen(raw):
            return
        self._add_all(self._ports.cache.users_of(namespace, name))

    def _add_all(self, numbers: Sequence[PhoneNumber]) -> None:
        """Queue all numbers that one change concerns."""
        for number in numbers:
            self._add(number, followers(len(numbers)))

    def _add(self, number: PhoneNumber, priority: Priority) -> None:
        """Only the leader queues: a new leader sweeps, and so finds what happened before."""
        if self._role.leading:
            self._queue.add(number.phone_number, priority, number.key.namespace)

    def passed_over(self, found: Unreadable) -> None:
        """A watch told of an object that cannot be read."""
        self._ports.unread.told(found)

    async def list_all(self) -> None:
        """Take in all that there is, the sealing keys with it."""
        await self._ports.keeper.keys.load()  # first: what is listed then can be opened
        await self._look_at_labelled()
        await self.look_again()

    async def _look_at_labelled(self) -> None:
        """Take in all labelled Secrets, and forget those that vanished, or lost their label, while nobody told.

        A LIST is of the moment at which it began: a Secret that was deleted since, as a watch told, is in it.
        """
        async with self._one_list[SECRETS]:
            listed: set[tuple[str, str]] = set()
            self._gone_meanwhile.clear()
            self._ports.unread.listing(SECRETS)
            async for raw in self._ports.secrets.labelled():
                at = (raw["metadata"]["namespace"], raw["metadata"]["name"])
                listed.add(at)
                if at not in self._gone_meanwhile:
                    self._take_in(self.secret_event, raw, SECRETS)
            self._ports.unread.listed(SECRETS)
            for namespace, name in self._ports.secrets.labelled_but(listed):
                if not self._ports.unread.hides(SECRETS, namespace, name):
                    self.secret_event("DELETED", {"metadata": {"namespace": namespace, "name": name}})

    async def look_again(self) -> None:
        """Take in all numbers, and forget those that vanished: kopf tells nothing of what a broken watch missed."""
        async with self._one_list[PLURAL]:
            listed: set[Key] = set()
            self._ports.unread.listing(PLURAL)
            async for raw in self._ports.numbers.all():
                listed.add(Key(raw["metadata"]["namespace"], raw["metadata"]["name"]))
                self._take_in(self.number_event, raw, PLURAL)
            self._ports.unread.listed(PLURAL)
            for number in list(self._ports.cache.all()):
                if number.key not in listed and await self._is_gone(number.key):
                    self._vanished(number.key, number.uid)

    def _take_in(
        self, event: Callable[[str | None, Mapping[str, Any]], None], raw: Mapping[str, Any], resource: str
    ) -> None:
        """An object out of a LIST. A bug that one meets must not keep the others from being listed."""
        try:
            event(None, raw)
        except Exception as exc:  # noqa: BLE001 - see above
            at = raw["metadata"]
            problem = f"a bug: {type(exc).__name__}"
            found = Unreadable(problem, resource, at["namespace"], at["name"], at["resourceVersion"])
            self._ports.unread.told(found)

    async def _is_gone(self, key: Key) -> bool:
        """Whether there is no number of this name; one that cannot be read is there."""
        try:
            return (
                not self._ports.unread.hides(PLURAL, key.namespace, key.name)
                and await self._ports.numbers.get(key) is None
            )
        except Unreadable as exc:
            self._ports.unread.told(replace(exc, namespace=key.namespace, name=key.name))
            return False

    async def patiently(self, look: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Look until it goes well: without the lists there is nothing to do, and the API server will come back."""
        attempt = 0
        while True:
            try:
                await look()
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
    """A refresh or recreate of an otherwise unchanged number waits for what users changed."""
    asked = number.refresh_due or number.recreate_due
    return Priority.REFRESH if asked and number.is_current and not number.deleting else Priority.USER
