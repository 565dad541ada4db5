"""Reads Secrets. Facts about a Secret stay in memory; its values do only for the moment in which a run needs them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..api.conditions import Verdict
from ..api.names import WATCH_LABEL
from ..core.credential_values import Field
from ..core.credentials import Reading, SecretFacts
from ..core.secret_facts import secret_facts
from ..core.trunk import Mask, Masked
from .answers import NotFound
from .numbers import scopes
from .port import JsonApi

LABEL_SELECTOR = f"{WATCH_LABEL}=true"
PAGE_SIZE = "20"
"""A Secret may have a megabyte."""

SHARED_FOR_S = 1.0
"""For how many seconds one GET serves all callers, because thousands of numbers may share one Secret."""

GETS_FOR_NEWEST = 5
"""How often a GET is repeated because a watch has reported a newer version meanwhile."""

Name = tuple[str, str]
"""Namespace and name of a Secret."""


class Opener(Protocol):
    """Opens sealed values."""

    def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
        """The value of a sealed text for this namespace and field; a verdict if it does not open."""
        ...

    async def read_again(self, since: float) -> None:
        """Read the sealing keys, unless they were read after `since` (monotonic seconds).

        A value that did not open may open then. Raises `Waiting` if the last read was too recent, and `Unavailable`.
        """
        ...


class Secrets:
    """All Secrets that numbers refer to. A watch reports changes of labelled Secrets; the others are read by GET."""

    def __init__(
        self,
        api: JsonApi,
        namespaces: Sequence[str],
        mask: Mask,
        opener: Opener,
        clock: Callable[[], float] = time.monotonic,
        *,
        labelled_only: bool = False,
    ) -> None:
        self._api = api
        self._labelled_only = labelled_only
        self._namespaces = namespaces
        self._reading = Reading(mask, opener.open)
        self._opener = opener
        self._clock = clock
        self._facts: dict[Name, SecretFacts] = {}
        self._flights: dict[Name, tuple[float, asyncio.Task[SecretFacts | None]]] = {}
        self._unopened: dict[Name, tuple[str, float]] = {}

    def known(self, namespace: str, name: str) -> SecretFacts | None:
        """The remembered facts of a Secret, without values; None if there are none."""
        return self._facts.get((namespace, name))

    def seen(self, raw: Mapping[str, Any]) -> bool:
        """Take in a Secret from a watch, LIST or GET. Returns whether its usable values have changed.

        The newest resourceVersion wins, so that the answer to a slow GET never replaces a newer event.
        """
        return self._take(self._read(raw))

    def _take(self, facts: SecretFacts) -> bool:
        name = (facts.namespace, facts.name)
        before = self._facts.get(name)
        if before is not None and int(before.resource_version) > int(facts.resource_version):
            return False
        self._facts[name] = _without_texts(facts)
        self._note_unopened(name, facts)
        return before is None or _usable(before) != _usable(facts)

    def any_sealed(self) -> Name | None:
        """A Secret with a sealed value; None if none is known."""
        return next((name for name, facts in self._facts.items() if facts.sealed), None)

    def forget_unopened(self) -> list[Name]:
        """After a change of the keys: forget the Secrets whose values could not be opened. Returns their names."""
        names = list(self._unopened)
        for name in names:
            self.forget(*name)
        return names

    def forget(self, namespace: str, name: str) -> None:
        """Forget a Secret that was deleted or lost its label. The next run reads it by GET."""
        self._facts.pop((namespace, name), None)
        self._flights.pop((namespace, name), None)
        self._unopened.pop((namespace, name), None)

    def labelled_but(self, listed: Collection[Name]) -> list[Name]:
        """The Secrets that are remembered as labelled and are not in `listed`: deleted, or without the label now."""
        return [name for name, facts in self._facts.items() if facts.watched and name not in listed]

    async def fetch(self, namespace: str, name: str) -> SecretFacts | None:
        """The Secret with its values; None if there is none. Callers at the same time share one GET.

        The answer is never older than the last event of a watch: if the Secret changed during the GET, it is read
        again.
        """
        for _ in range(GETS_FOR_NEWEST):
            facts = await self._shared(namespace, name)
            known = self._facts.get((namespace, name))
            # A GET that finds no Secret forgets it. If it is known all the same, a watch has reported it since.
            if known is None or (facts and int(facts.resource_version) >= int(known.resource_version)):
                return facts
            self._flights.pop((namespace, name), None)
        # The versions are lower than before: the cluster was restored from a backup.
        self.forget(namespace, name)
        return await self._shared(namespace, name)

    async def aclose(self) -> None:
        """Cancel the GETs under way."""
        flights = [flight for _, flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _shared(self, namespace: str, name: str) -> SecretFacts | None:
        key = (namespace, name)
        started, flight = self._flights.get(key, (0.0, None))
        if flight is None or (flight.done() and self._clock() - started > SHARED_FOR_S):
            flight = asyncio.create_task(self._get(namespace, name), name=f"get secret {namespace}/{name}")
            # Retrieve the exception even if all callers are cancelled: otherwise asyncio logs it.
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._flights[key] = (self._clock(), flight)
            self._drop_later(key)
        # Shielded: the cancellation of one caller must not cancel the GET of the others.
        return await asyncio.shield(flight)

    def _drop_later(self, key: Name) -> None:
        """Drop the answer, and so its values, after `SHARED_FOR_S`."""
        flight = self._flights[key]

        def drop() -> None:
            if self._flights.get(key) is flight:
                if flight[1].done():
                    del self._flights[key]
                else:
                    self._drop_later(key)

        asyncio.get_running_loop().call_later(SHARED_FOR_S, drop)

    async def _get(self, namespace: str, name: str) -> SecretFacts | None:
        try:
            raw = await self._api.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}", resource="secrets")
        except NotFound:
            self._facts.pop((namespace, name), None)
            self._unopened.pop((namespace, name), None)
            return None
        facts = self._read(raw)
        self._take(facts)
        if facts.unopened:
            # The key may be newer than the last read of the keys, so they are read again before any verdict.
            _, since = self._unopened.get((namespace, name), ("", self._clock()))
            await self._opener.read_again(since)
            facts = self._read(raw)
            self._take(facts)
        return facts

    async def labelled(self) -> AsyncIterator[Mapping[str, Any]]:
        """Every labelled Secret in the watched namespaces."""
        for path in scopes("/api/v1", self._namespaces, "secrets"):
            query = {"labelSelector": LABEL_SELECTOR, "limit": PAGE_SIZE}
            async for raw in self._api.pages(path, "secrets", query):
                yield raw

    def _read(self, raw: Mapping[str, Any]) -> SecretFacts:
        return secret_facts(raw, self._reading, labelled_only=self._labelled_only)

    def _note_unopened(self, name: Name, facts: SecretFacts) -> None:
        """Remember since when a version of a Secret is known that no key opens: keys read later need no other read."""
        version, _ = self._unopened.get(name, ("", 0.0))
        if not facts.unopened:
            self._unopened.pop(name, None)
        elif version != facts.resource_version:
            self._unopened[name] = (facts.resource_version, self._clock())


def _usable(facts: SecretFacts) -> tuple[object, ...]:
    return facts.values, facts.type, facts.watched, facts.too_large, facts.sealed


def _without_texts(facts: SecretFacts) -> SecretFacts:
    values = {
        key: replace(value, text=None) if isinstance(value, Masked) else value for key, value in facts.values.items()
    }
    return replace(facts, values=values)
