"""LiveKit's SIP API over HTTP, through livekit-api.

The library (1.2.2) gives its calls no timeout, no bound and a signature each; all three are done here. Its reading
of replies is guarded too: it takes an empty body for an empty list.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from google.protobuf.message import Message
from livekit.api.sip_service import SipService
from livekit.protocol.models import Pagination
from livekit.protocol.sip import ListSIPDispatchRuleRequest
from pydantic import SecretStr

from byoc_operator.api.conditions import Reason

from ..core.fields import WITHHELD, with_all_listed, with_withheld
from ..core.ownership import owner_of
from ..core.trunk import Kind, Mask, SipObject
from ..errors import Gone, Unavailable
from . import convert
from .bounds import Room
from .error_map import LIBRARY_ERRORS, TooMuch, from_library
from .kinds import KINDS, LiveKitKind, in_livekit
from .listing import FEW_FIELDS, MAX_FIELDS, MAX_OBJECTS, PATIENCE, Seen, Unreadable, items_of, read, seen_as
from .session import Endpoint, SignedSession

_Result = TypeVar("_Result")
_Object = TypeVar("_Object", bound=SipObject)

_PORTION, _ITEM_WEIGHT, _CUT_AT_ONCE = 2**17, 256, 5000
"""Bytes read without a break, what an object counts for beside its own, objects cut apart without a break: each about
5 ms. 10,000 in one go would keep watches and probes waiting."""

_MAX_PAGES = 1000
"""Of one list: each takes a call, and a server could make up new ones for ever."""

_LIST_LIMIT_S = 300.0
"""Of one list, all its pages: each page may take the time of a call."""

_ID_KNOWN = 256
"""Characters by which two IDs are told apart."""

log = logging.getLogger(__name__)

Observer = Callable[[str, str, float], None]
"""Told of every call: LiveKit's method name, `ok` or the error's reason, its duration in seconds."""


class LiveKitClient:
    """`gateway.SipGateway` over the network. Made inside a running event loop; close it with `aclose`.

    `clock`: seconds, monotonic. Every call ends within `timeout_s`, and none is repeated here. `guard.Guard` decides
    whether a write may leave.
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
        self._lists_passwords = not endpoint.paged
        # Fields that this server fills by itself, learned from its replies to our writes, which never hold them.
        # Without this memory such a field would be a difference for ever.
        self._unreadable: dict[str, Unreadable] = {}
        self._server_made: set[tuple[Kind, str]] = set()

    @property
    def unreadable(self) -> int:
        """How many objects of the last lists could not be read whole, or have an ID that nobody can use."""
        return sum(each.count for each in self._unreadable.values())

    async def probe(self) -> None:
        """One filtered list by an ID that does not exist: it costs next to nothing and still needs the key."""
        request = ListSIPDispatchRuleRequest(dispatch_rule_ids=["SDR_probe"])
        await self._call("ListSIPDispatchRule", lambda sip: sip.list_dispatch_rule(request))

    async def list_all(self, of: type[_Object]) -> list[_Object]:
        """All objects of one kind, without credentials' texts."""
        return self._with_passwords_judged(of.kind, await self._list(in_livekit(of)))

    async def create(self, wanted: _Object) -> _Object:
        """Create; `wanted.id` is not looked at. ValueError if a credential of `wanted` has no text."""
        kind = in_livekit(type(wanted))
        info = kind.conversion.to_proto(wanted)
        return await self._write("Create", kind, wanted, "", lambda sip: kind.create(sip, info))

    async def replace(self, wanted: _Object) -> _Object:
        """Replace the object `wanted.id` as a whole. ValueError if a credential of `wanted` has no text."""
        kind = in_livekit(type(wanted))
        info = kind.conversion.to_proto(wanted)
        return await self._write("Update", kind, wanted, wanted.id, lambda sip: kind.update(sip, wanted.id, info))

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete; an object that is already gone is a success."""
        delete = KINDS[kind].delete
        try:
            await self._call(KINDS[kind].delete_name, lambda sip: delete(sip, id))
        except Gone:
            return

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change a trunk's metadata and nothing else; a trunk that is gone is a success. Rules: ValueError."""
        mark = KINDS[kind].mark
        if mark is None:
            raise ValueError("a rule is marked by its name, not by metadata")
        try:
            await self._call(f"Update{KINDS[kind].name}", lambda sip: mark(sip, id, metadata))
        except Gone:
            return

    def set_credentials(self, key: str, secret: SecretStr) -> None:
        """Use another API key from the next call on."""
        self._session.set_credentials(key, secret)

    async def aclose(self) -> None:
        """Close all connections; calls still under way fail."""
        await self._session.aclose()

    async def _list(self, kind: LiveKitKind[_Object]) -> list[_Object]:
        """All objects, each ID once, and what bears our mark without a usable ID: its owner must know of it."""
        try:
            async with asyncio.timeout(_LIST_LIMIT_S):
                return await self._pages(kind)
        except (TooMuch, TimeoutError) as exc:
            raise from_library(exc) from exc

    async def _pages(self, kind: LiveKitKind[_Object]) -> list[_Object]:
        """Ends with a page that brings nothing new, so that a server without pages ends too."""
        method = f"List{kind.name}"
        found: list[_Object] = []
        known: set[str] = set()
        room, unreadable, after = Room(), Unreadable(), None
        for _ in range(_MAX_PAGES):
            last = ""
            async for item in _in_portions(await self._page(method, kind.list_request(page=after))):
                seen = self._seen(kind, item, FEW_FIELDS if unreadable.count > PATIENCE else MAX_FIELDS)
                listed_as = seen.id[:_ID_KNOWN]
                if listed_as in known:
                    continue
                if not seen.whole or seen.value.id != listed_as:
                    unreadable.note(listed_as)
                    await asyncio.sleep(0)  # to look at such a one takes long
                if listed_as:
                    known.add(listed_as)
                    last = listed_as
                if seen.value.id or owner_of(seen.value) is not None:
                    found.append(room.take(seen.value))
            if len(known) > MAX_OBJECTS:
                raise TooMuch
            if not self._paged or not last:
                self._tell(method, unreadable)
                return found
            after = Pagination(after_id=last)
        raise TooMuch

    async def _page(self, method: str, request: Message) -> list[memoryview]:
        """One page, taken apart but unread: one bad object must not hide the others."""

        async def page(_: SipService) -> list[memoryview]:
            found: list[memoryview] = []
            for item in items_of(await self._session.listed(method, request)):
                found.append(item)
                if len(found) % _CUT_AT_ONCE == 0:
                    await asyncio.sleep(0)
            return found

        return await self._call(method, page)

    def _tell(self, method: str, unreadable: Unreadable) -> None:
        """Say once, not at each sweep, what cannot be read."""
        before = self._unreadable.get(method)
        self._unreadable[method] = unreadable
        if unreadable.count and (before is None or before.count == 0):
            log.warning("%s: %s", method, unreadable.message)

    async def _write(
        self,
        verb: str,
        kind: LiveKitKind[_Object],
        wanted: _Object,
        id: str,
        call: Callable[[SipService], Awaitable[Message]],
    ) -> _Object:
        """The object as the reply tells it; what LiveKit may keep back is taken from `wanted`, without its text."""
        reply = await self._call(f"{verb}{kind.name}", call, convert.credential_texts(wanted))
        stored = self._read(kind, reply)
        if not stored.id and not id:
            raise Unavailable(
                Reason.LIVEKIT_UNAVAILABLE, "LiveKit's answer to a create held no ID.", outcome_unknown=True
            )
        self._server_made |= {(stored.kind, name) for name in stored.extra}
        stored = replace(stored, id=stored.id or id, extra=())
        return with_withheld(stored, wanted) if self._paged else stored

    async def _call(
        self, method: str, call: Callable[[SipService], Awaitable[_Result]], credentials: Iterable[str] = ()
    ) -> _Result:
        """One call within its time, as soon as a slot is free, counted; its failure as one of our errors."""
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
        """One password that is listed shows that a missing one means none, also of trunks that came before."""
        if self._lists_passwords or not any(getattr(each, name) for name in WITHHELD[kind] for each in found):
            return found
        self._lists_passwords = True
        return [with_all_listed(each) for each in found]

    def _seen(self, kind: LiveKitKind[_Object], item: memoryview, most_fields: int) -> Seen[_Object]:
        got = read(kind.conversion.info, item, most_fields)
        return seen_as(kind.conversion.id_of(got.info), self._read(kind, got.info), got, len(item))

    def _read(self, kind: LiveKitKind[_Object], info: Message) -> _Object:
        """The value of a message, without what the server itself filled in."""
        stored: _Object = kind.conversion.from_proto(info, self._mask, lists_passwords=self._lists_passwords)
        if not stored.extra:
            return stored
        made = self._server_made
        return replace(stored, extra=tuple(name for name in stored.extra if (stored.kind, name) not in made))


async def _in_portions(items: list[memoryview]) -> AsyncIterator[memoryview]:
    """Every item; the event loop gets its turns between them."""
    weight = 0
    for item in items:
        weight += _ITEM_WEIGHT + len(item)
        if weight > _PORTION:
            weight = 0
            await asyncio.sleep(0)
        yield item
