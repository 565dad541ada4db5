"""Finds out which Secrets are sealed with which key, and rotates, re-seals and retires keys."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..api.names import PLURAL
from ..api.resource import parse
from ..cluster.answers import ApiRefused, Conflict, NotFound
from ..cluster.numbers import NumberApi
from ..cluster.port import MERGE_PATCH, JsonApi
from ..cluster.reading import Unreadable
from ..cluster.secrets import LABEL_SELECTOR
from ..core.credentials import KEYS_SECRET, LAST_APPLIED
from ..errors import OperatorError
from ..sealing.sealed import KeyRing
from ..sealing.store import encoded, keys_in, secret_path
from ..sealing.uses import Use, resealed, use_of
from .exit_codes import ExitCode, Refused, failure
from .naming import SECRET

ATTEMPTS = 5
"""How often a write is tried if the object keeps changing."""

SETTLED_S = 25.0
"""For how many seconds after a rotation a value may still be stored that an older key sealed.

A replica may seal with keys that it read 10 s ago (`sealing.freshness`), and has 5 s to answer. A webhook that is
called after it may take another 10 s.
"""

LONG_AGO_S = 60.0
"""`retire` does not wait if the last change of the keys is older. The clock of this machine may be 35 s fast."""


@dataclass
class Resealed:
    """The result of a re-sealing. `done`: the Secrets; `failed`: the reason by Secret.

    `lacks_a_right`: whether one failed because the user may not change it.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    lacks_a_right: bool = False


class StoredKeys:
    """The sealing keys in the cluster, and the Secrets that are sealed with them. Raises OperatorError."""

    def __init__(self, api: JsonApi, operator_namespace: str, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._clock = clock
        self._namespace = operator_namespace
        self._where = f"Secret {operator_namespace}/{KEYS_SECRET}"
        self.unread: dict[str, str] = {}
        """Objects that could not be read in the last search, and why. They may need any key."""
        api.listen(self._pass_over)

    def _pass_over(self, found: Unreadable) -> None:
        self.unread[found.where] = found.message

    async def ring(self) -> KeyRing:
        """The keys as they are now."""
        return self._ring_of(await self._read())

    async def change(self, made: Callable[[KeyRing], KeyRing]) -> KeyRing:
        """Replace the ring by `made` of it. If the Secret changes meanwhile, read it and try again."""
        for _ in range(ATTEMPTS):
            raw = await self._read()
            ring = made(self._ring_of(raw))
            # `kubectl apply` leaves a copy of the keys in this annotation, which would outlive the keys.
            body = {"metadata": {**_version(raw), "annotations": {LAST_APPLIED: None}}, "data": encoded(ring)}
            try:
                await self._patch(secret_path(self._namespace), body)
            except Conflict:
                continue
            return ring
        raise Refused(f"{self._where} changes all the time; try again")

    async def uses(self, ring: KeyRing) -> list[Use]:
        """Every Secret with sealed values, among the labelled ones and those that a number names."""
        return [use for raw in await self._secrets() if (use := use_of(raw, ring)).keys]

    async def retire(
        self, wait: Callable[[float], Awaitable[None]], *, even_if_used: bool = False
    ) -> tuple[KeyRing, KeyRing]:
        """Drop all keys but the first. Returns the rings before and after. Raises `Refused` if a Secret needs a key.

        `wait`: awaited after a recent rotation, with the seconds until all values sealed before it are stored.
        """
        raw = await self._read()
        before = self._ring_of(raw)
        old = before.fingerprints()[1:]
        if not old:
            return before, before
        if even_if_used:
            return before, await self.change(lambda ring: ring.without(old))
        await self._refuse_while_needed(before, old)
        if self._clock() - _written_at(raw) < LONG_AGO_S:
            await wait(SETTLED_S)
            await self._refuse_while_needed(before, old)
        return before, await self.change(lambda ring: ring.without(old))

    async def _refuse_while_needed(self, ring: KeyRing, old: Collection[str]) -> None:
        """Raise `Refused` if a Secret needs an old key, or if an object cannot be read, as it may need any key."""
        needing = [use.label for use in await self.uses(ring) if not set(old).isdisjoint(use.keys.values())]
        if needing:
            shown = ", ".join(needing[:10]) + (", …" if len(needing) > 10 else "")  # noqa: PLR2004 - a screenful
            message = (
                f"{len(needing)} Secrets are sealed with older keys: {shown}. Run `kubectl byoc keys reseal` first; "
                "--even-if-used gives them up."
            )
            raise Refused(message, ExitCode.IN_USE)
        if self.unread:
            where = next(iter(self.unread))
            message = (
                f"{where} cannot be read ({self.unread[where]}) and may need an older key; --even-if-used risks it"
            )
            raise Refused(message, ExitCode.IN_USE)

    async def reseal(self) -> Resealed:
        """Seal the values that another key sealed with the first key, in place."""
        ring, outcome = await self.ring(), Resealed()
        for raw in await self._secrets():
            use = use_of(raw, ring)
            if set(use.keys.values()) <= {ring.fingerprints()[0], ""}:
                continue  # a value that no key opens is no reason to keep a key
            try:
                await self._reseal(use, raw, ring)
            except OperatorError as exc:
                outcome.failed[use.label] = exc.message
                outcome.lacks_a_right |= isinstance(exc, ApiRefused) and exc.missing_right
            else:
                outcome.done.append(use.label)
        outcome.failed |= self.unread
        return outcome

    async def _reseal(self, use: Use, raw: Mapping[str, Any], ring: KeyRing) -> None:
        path = f"/api/v1/namespaces/{use.namespace}/secrets/{use.name}"
        for _ in range(ATTEMPTS):
            data = resealed(raw, ring)
            if not data:
                return  # re-sealed by somebody else meanwhile
            try:
                await self._patch(path, {"metadata": _version(raw), "data": data})
            except Conflict:
                raw = await self._api.request("GET", path, resource="secrets")
                continue
            return
        raise Refused("it changes all the time")

    async def _secrets(self) -> list[dict[str, Any]]:
        """The labelled Secrets, and the others that a number names."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        self.unread.clear()
        try:
            async for raw in self._api.pages("/api/v1/secrets", "secrets", {"labelSelector": LABEL_SELECTOR}):
                found[raw["metadata"]["namespace"], raw["metadata"]["name"]] = raw
            named = [each async for number in NumberApi(self._api, ()).all() for each in self._named(number)]
        except ApiRefused as exc:
            message = f"the Secrets and numbers of all namespaces must be read for this, and you may not: {exc.message}"
            raise Refused(message, ExitCode.NO_RIGHTS) from exc
        for namespace, name in sorted(set(named) - set(found)):
            try:
                path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
                found[namespace, name] = await self._api.request("GET", path, resource="secrets")
            except NotFound:
                pass
            except Unreadable as exc:
                self._pass_over(replace(exc, namespace=namespace, name=name))
        return [found[each] for each in sorted(found)]

    def _named(self, raw: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Namespace and name of each Secret that a number names, also where the spec breaks a rule."""
        number = parse(raw)
        if number.unread:
            self._pass_over(Unreadable(number.unread, PLURAL, number.key.namespace, number.key.name))
        # The name becomes part of a path: with `..` in it, the request would read another resource.
        return [(number.key.namespace, name) for name in number.secret_names if SECRET.allows(name)]

    async def _read(self) -> dict[str, Any]:
        try:
            return await self._api.request("GET", secret_path(self._namespace), resource="secrets")
        except Unreadable as exc:
            raise Refused(f"{self._where} cannot be read: {exc.message}") from exc
        except NotFound as exc:
            message = f"there is no {self._where}; how to restore it, or to make one: docs/sealing.md, Restore"
            raise Refused(message) from exc
        except ApiRefused as exc:
            exit_code = failure(lacks_a_right=exc.missing_right)
            raise Refused(f"{self._where} cannot be read: {exc.message}", exit_code) from exc

    def _ring_of(self, raw: Mapping[str, Any]) -> KeyRing:
        try:
            return keys_in(raw)
        except ValueError as exc:
            raise Refused(f"{self._where} cannot be used: {exc}") from exc

    async def _patch(self, path: str, body: Mapping[str, Any]) -> None:
        await self._api.request("PATCH", path, resource="secrets", body=body, content_type=MERGE_PATCH)


def _version(raw: Mapping[str, Any]) -> dict[str, str]:
    """The part of a patch that makes the API server answer 409 unless the object still has this version."""
    return {"uid": raw["metadata"]["uid"], "resourceVersion": raw["metadata"]["resourceVersion"]}


def _written_at(raw: Mapping[str, Any]) -> float:
    """When an object was last written, in epoch seconds; infinite if the API server does not tell.

    Every write counts: `managedFields` of a server-side apply of `stringData` do not name `data`.
    """
    times = [str(entry["time"]) for entry in raw["metadata"].get("managedFields") or () if entry.get("time")]
    return datetime.fromisoformat(max(times)).timestamp() if times else float("inf")
