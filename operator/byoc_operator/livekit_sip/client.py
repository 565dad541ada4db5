"""LiveKit's SIP API over HTTP, through livekit-api.

The library (1.2.2) has no timeout and no bound for replies, and signs a token for each call. This module adds the
timeout and the bounds, and signs one token for many calls. `session` refuses replies that the library would misread,
such as an empty body.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import Message
from livekit.api.sip_service import SipService
from livekit.protocol.models import Pagination
from livekit.protocol.sip import ListSIPDispatchRuleRequest
from pydantic import SecretStr

from ..api.conditions import Reason
from ..core.fields import WITHHELD, with_all_listed, with_withheld
from ..core.ownership import owner_of
from ..core.trunk import Kind, Mask, SipObject
from ..errors import Gone, Unavailable
from . import convert
from .bounds import ListBudget
from .endpoint import Endpoint
from .error_map import LIBRARY_ERRORS, ReplyTooLong, from_library
from .kinds import KINDS, LiveKitKind, in_livekit
from .listing import (
    CUT_AT_ONCE,
    FEW_FIELDS,
    MANY_UNREADABLE,
    MAX_FIELDS,
    MAX_OBJECTS,
    Seen,
    UnreadableItems,
    in_portions,
    items_of,
    read,
    seen_as,
)
from .remainder import Remainder
from .server_made import ServerMade
from .session import SignedSession

_Result = TypeVar("_Result")
_Object = TypeVar("_Object", bound=SipObject)

_MAX_PAGES = 1000
"""Pages of one list. A faulty server could send new pages for ever."""

_LIST_LIMIT_S = 300.0
"""Seconds for all pages of one list together; each page may also take the time of a call."""

_ID_KNOWN = 256
"""Characters of an ID that are compared."""

log = logging.getLogger(__name__)

Observer = Callable[[str, str, float], None]
"""Called after every call with LiveKit's method name, `ok`, `cancelled` or the error's reason, and the seconds."""


class LiveKitClient:
    """`gateway.SipGateway` over the network. To be created inside a running event loop and closed with `aclose`.

    `clock`: seconds, monotonic. Every call ends within `endpoint.timeout_s`, and the client repeats none. `guard.Guard`
    decides whether a write may be sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        mask: Mask,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paged = endpoint.paged
        self._timeout_s = endpoint.timeout_s
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._session = SignedSession(endpoint, clock)
        self._mask = mask
        self._observer = observer
        self._clock = clock
        self._lists = dict.fromkeys(Kind, not endpoint.paged)
        self._unreadable: dict[str, UnreadableItems] = {}
        self._server_made = ServerMade()

    @property
    def unreadable(self) -> int:
        """How many objects of the last lists could not be read completely, or have an unusable ID."""
        return sum(each.count for each in self._unreadable.values())

    async def probe(self) -> None:
        """List the rules with an ID that does not exist: the call is cheap and needs a valid key."""
        request = ListSIPDispatchRuleRequest(dispatch_rule_ids=["SDR_probe"])
        await self._call("ListSIPDispatchRule", lambda sip: sip.list_dispatch_rule(request))

    async def list_all(self, of: type[_Object]) -> list[_Object]:
        """All objects of one kind, without the texts of credentials."""
        return self._with_passwords_judged(of.kind, await self._list(in_livekit(of)))

    async def create(self, wanted: _Object) -> _Object:
        """Create an object; `wanted.id` is ignored. Raises ValueError if a credential of `wanted` has no text."""
        kind = in_livekit(type(wanted))
        sent = _Sent(wanted, kind.conversion.to_proto(wanted))
        return await self._write("Create", kind, sent, lambda sip: kind.create(sip, sent.info))

    async def remainder(self, kind: Kind, id: str) -> Remainder:
        """What LiveKit has on an object beside the fields of our value."""
        of = KINDS[kind]
        for item in await self._page(f"List{of.name}", of.list_one(id)):
            got = read(of.conversion.info, item)
            if of.conversion.id_of(got.info) == id:
                return of.conversion.remainder(got.info)
        raise Gone(Reason.PENDING, "LiveKit no longer has the object.")

    async def replace(self, wanted: _Object, remainder: Remainder | None = None) -> _Object:
        """Replace the whole object `wanted.id`. Raises ValueError if a credential of `wanted` has no text."""
        kind = in_livekit(type(wanted))
        sent = _Sent(wanted, kind.conversion.to_proto(wanted, remainder), wanted.id, remainder)
        return await self._write("Update", kind, sent, lambda sip: kind.update(sip, wanted.id, sent.info))

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete an object; an object that is already gone is a success."""
        delete = KINDS[kind].delete
        try:
            await self._call(KINDS[kind].delete_name, lambda sip: delete(sip, id))
        except Gone:
            return

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change only the metadata of a trunk; a trunk that is gone is a success. Raises ValueError for a rule."""
        mark = KINDS[kind].mark
        if mark is None:
            raise ValueError("a rule is marked by its name, not by metadata")
        try:
            await self._call(f"Update{KINDS[kind].name}", lambda sip: mark(sip, id, metadata))
        except Gone:
            return

    def set_credentials(self, key: str, secret: SecretStr) -> None:
        """Use this API key from the next call on."""
        self._session.set_credentials(key, secret)

    async def aclose(self) -> None:
        """Close all connections; calls that are under way fail."""
        await self._session.aclose()

    async def _list(self, kind: LiveKitKind[_Object]) -> list[_Object]:
        """All objects with a usable ID, each ID once, and the objects with our mark that have no usable ID.

        Raises `Failure`.
        """
        try:
            async with asyncio.timeout(_LIST_LIMIT_S):
                return await self._pages(kind)
        except (ReplyTooLong, TimeoutError) as exc:
            raise from_library(exc) from exc

    async def _pages(self, kind: LiveKitKind[_Object]) -> list[_Object]:
        """The objects of all pages. A page without a new ID is the last one, so a server without pages works too."""
        method = f"List{kind.name}"
        found: list[_Object] = []
        known: set[str] = set()
        budget, unreadable, after = ListBudget(), UnreadableItems(), None
        for _ in range(_MAX_PAGES):
            last = ""
            async for item in in_portions(await self._page(method, kind.list_request(page=after))):
                seen = self._seen(kind, item, FEW_FIELDS if unreadable.count > MANY_UNREADABLE else MAX_FIELDS)
                listed_as = seen.id[:_ID_KNOWN]
                if listed_as in known:
                    continue
                if not seen.whole or seen.value.id != listed_as:
                    unreadable.note(listed_as)
                    await asyncio.sleep(0)  # other tasks get a turn, because reading such an object takes long
                if listed_as:
                    known.add(listed_as)
                    last = listed_as
                if seen.value.id or owner_of(seen.value) is not None:
                    found.append(budget.take(seen.value))
            if len(known) > MAX_OBJECTS:
                raise ReplyTooLong
            if not self._paged or not last:
                self._log_unreadable(method, unreadable)
                return found
            after = Pagination(after_id=last)
        raise ReplyTooLong

    async def _page(self, method: str, request: Message) -> list[memoryview]:
        """The objects of one page, not yet parsed: one bad object must not hide the others."""

        async def page(_: SipService) -> list[memoryview]:
            found: list[memoryview] = []
            for item in items_of(await self._session.listed(method, request)):
                found.append(item)
                if len(found) % CUT_AT_ONCE == 0:
                    await asyncio.sleep(0)
            return found

        return await self._call(method, page)

    def _log_unreadable(self, method: str, unreadable: UnreadableItems) -> None:
        """Log what cannot be read, once and not at each sweep."""
        before = self._unreadable.get(method)
        self._unreadable[method] = unreadable
        if unreadable.count and (before is None or before.count == 0):
            log.warning("%s: %s", method, unreadable.message)

    async def _write(
        self,
        verb: str,
        kind: LiveKitKind[_Object],
        sent: "_Sent[_Object]",
        call: Callable[[SipService], Awaitable[Message]],
    ) -> _Object:
        """The object in the reply to a write.

        LiveKit Cloud may leave credentials out of its replies; the digests of what was sent are then filled in. Raises
        `Failure`.
        """
        carried = sent.remainder
        secrets = chain(convert.credential_texts(sent.wanted), carried.texts() if carried else ())
        reply = await self._call(f"{verb}{kind.name}", call, secrets)
        stored = self._value(kind, reply)
        if not stored.id and not sent.id:
            raise Unavailable(
                Reason.LIVEKIT_UNAVAILABLE, "LiveKit's answer to a create held no ID.", outcome_unknown=True
            )
        self._server_made.learn(stored, self._value(kind, sent.info) if carried else None)
        stored = replace(self._server_made.without(stored), id=stored.id or sent.id)
        return with_withheld(stored, sent.wanted) if self._paged else stored

    async def _call(
        self, method: str, call: Callable[[SipService], Awaitable[_Result]], credentials: Iterable[str] = ()
    ) -> _Result:
        """Make one call as soon as a slot is free, within the timeout, and tell the observer. Raises `Failure`.

        `credentials`: texts that the call sends; they are masked where the error quotes LiveKit.
        """
        async with self._slots:
            sip = self._session.sip()
            started_s, outcome = self._clock(), "cancelled"
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await call(sip)
                outcome = "ok"
                return result
            except LIBRARY_ERRORS as error:
                mapped = from_library(error, credentials)
                outcome = mapped.reason
                if mapped.reason is Reason.LIVEKIT_UNAUTHORIZED:
                    self._session.sign_anew()
                raise mapped from error
            finally:
                self._observer(method, outcome, self._clock() - started_s)

    def _with_passwords_judged(self, kind: Kind, found: list[_Object]) -> list[_Object]:
        """The objects, with the meaning of a missing password.

        One listed password shows that this server lists passwords of trunks. A missing one then means that none is set,
        also for the trunks earlier in the list. The same holds for the keys of rules.
        """
        if self._lists[kind] or not any(getattr(each, name) for name in WITHHELD[kind] for each in found):
            return found
        alike = (Kind.DISPATCH_RULE,) if kind is Kind.DISPATCH_RULE else (Kind.OUTBOUND_TRUNK, Kind.INBOUND_TRUNK)
        self._lists |= dict.fromkeys(alike, True)
        return [with_all_listed(each) for each in found]

    def _seen(self, kind: LiveKitKind[_Object], item: memoryview, most_fields: int) -> Seen[_Object]:
        got = read(kind.conversion.info, item, most_fields)
        return seen_as(kind.conversion.id_of(got.info), self._read(kind, got.info), got, len(item))

    def _read(self, kind: LiveKitKind[_Object], info: Message) -> _Object:
        """The value of a message; `extra` and `unknown` are without the fields that the server sets by itself."""
        return self._server_made.without(self._value(kind, info))

    def _value(self, kind: LiveKitKind[_Object], info: Message) -> _Object:
        value: _Object = kind.conversion.from_proto(info, self._mask, lists_passwords=self._lists[kind.conversion.kind])
        return value


class _Sent(NamedTuple, Generic[_Object]):
    """What a write sends. `id`: of the object that it replaces, empty for a new one. `remainder`: as in `replace`."""

    wanted: _Object
    info: Message
    id: str = ""
    remainder: Remainder | None = None
