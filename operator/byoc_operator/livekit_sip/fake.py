"""A LiveKit in memory: `gateway.SipGateway` with the rules of livekit-server 1.13.5.

The fake passes the same contract suite as the real server. It has no pages, no rate limits, no rules with a PIN or with
numbers, and no race of two creates: here a check and its write are one step, while the real server can accept both. Of
the fields in `extra` the fake keeps only the names.
"""

import asyncio
import contextlib
import random
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, assert_never

from ..api.conditions import Reason
from ..core.fields import credentials, without_texts, without_withheld
from ..core.trunk import (
    DispatchRule,
    InboundTrunk,
    Kind,
    OutboundTrunk,
    SipObject,
    UnknownFields,
    kept_settings,
    kind_of,
)
from ..errors import Failure, Gone
from . import convert
from .fake_checks import check_inbound, check_outbound, check_rules
from .faults import ApplyLate, Fault, Hang, LoseReply, Refuse, lost_reply
from .remainder import Remainder

_Object = TypeVar("_Object", bound=SipObject)
_Result = TypeVar("_Result")


class FakeLiveKit:
    """A server that has no objects at first.

    `calls`: (method, kind, name or ID) of every call, refused or not. `always`: the error of every call, such as a
    wrong key; None for none. `lists_passwords`: False for a server that lists no passwords, as LiveKit Cloud may do.
    `seed`: makes the IDs repeatable.
    """

    def __init__(self, always: Failure | None = None, *, lists_passwords: bool = True, seed: int | None = None) -> None:
        self.always = always
        self.calls: list[tuple[str, Kind, str]] = []
        self._lists_passwords = lists_passwords
        self._random = random.Random(seed)  # noqa: S311 - IDs of a fake
        self._objects: dict[str, SipObject] = {}
        self._faults: list[tuple[Fault, str | None, Kind | None]] = []
        self._late: list[tuple[Callable[[], object], int | None]] = []

    async def probe(self) -> None:
        """Answer, or fail as a list of rules would."""
        await self._handle("probe", Kind.DISPATCH_RULE, "", lambda: None)

    async def list_all(self, of: type[_Object]) -> list[_Object]:
        """All objects of one kind, ordered by ID."""
        return await self._handle("list", of.kind, "", lambda: self._listed(of))

    async def create(self, wanted: _Object) -> _Object:
        """Create an object with a random ID. Raises ValueError if a credential of `wanted` has no text."""
        convert.demand_texts(wanted)
        return await self._handle("create", kind_of(wanted), wanted.name, lambda: self._create(wanted))

    async def remainder(self, kind: Kind, id: str) -> Remainder:
        """What an object has beside the fields of our value: of the content, the fake has only the paths."""
        return await self._handle("remainder", kind, id, lambda: Remainder(kept_settings(self._present(kind, id))))

    async def replace(self, wanted: _Object, remainder: Remainder | None = None) -> _Object:
        """Replace a whole object. Raises ValueError if a credential of `wanted` has no text."""
        convert.demand_texts(wanted)
        return await self._handle("replace", kind_of(wanted), wanted.id, lambda: self._replace(wanted, remainder))

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete an object; rules that name a deleted trunk stay."""
        await self._handle("delete", kind, id, lambda: self._delete(kind, id))

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change only the metadata of a trunk; a trunk that is gone is a success."""
        await self._handle("set_metadata", kind, id, lambda: self._set_metadata(kind, id, metadata))

    def inject(self, fault: Fault, method: str | None = None, kind: Kind | None = None) -> None:
        """Let the next call of this method (`list`, `create`, `replace`, …) and kind fail; None fits any."""
        self._faults.append((fault, method, kind))

    def apply_late(self) -> None:
        """Apply now all calls that `ApplyLate` has delayed."""
        put_off, self._late = self._late, []
        for apply, _ in put_off:
            with contextlib.suppress(Failure):
                apply()

    def count(self) -> Counter[tuple[str, Kind]]:
        """How many calls there were, by method and kind."""
        return Counter((method, kind) for method, kind, _ in self.calls)

    def objects(self) -> list[SipObject]:
        """All stored objects, ordered by ID, as a list shows them; `calls` does not count this."""
        return [self._shown(stored) for _, stored in sorted(self._objects.items())]

    def stored_password(self, id: str, attribute: str = "password") -> str | None:
        """The password that calls over this trunk use, or another credential. Raises KeyError for an unknown object."""
        password = dict(credentials(self._objects[id])).get(attribute)
        return None if password is None or password.text is None else password.text.get_secret_value()

    def put(self, foreign: SipObject) -> str:
        """Store an object as another program would, without checks. Returns its ID, which is new if it had none."""
        new_id = foreign.id or self._new_id(foreign)
        self._objects[new_id] = replace(foreign, id=new_id)
        return new_id

    def edit(self, id: str, **changes: Any) -> None:
        """Change fields of a stored object as another program would, without checks."""
        self._objects[id] = replace(self._objects[id], **changes)

    def drop(self, id: str) -> None:
        """Delete an object as another program would. Raises KeyError if there is no such object."""
        del self._objects[id]

    async def _handle(self, method: str, kind: Kind, what: str, apply: Callable[[], _Result]) -> _Result:
        self.calls.append((method, kind, what))
        self._apply_what_is_due()
        await asyncio.sleep(0)  # other tasks get a turn, as during a call over the network
        if self.always is not None:
            raise replace(self.always)
        fault = self._take_fault(method, kind)
        match fault:
            case None:
                return apply()
            case Hang():
                await fault.until.wait()
                return apply()
            case Refuse():
                raise fault.error
            case LoseReply():
                with contextlib.suppress(Failure):
                    apply()
                raise lost_reply()
            case ApplyLate():
                self._late.append((apply, fault.after_calls))
                raise lost_reply()
        assert_never(fault)

    def _take_fault(self, method: str, kind: Kind) -> Fault | None:
        for position, (fault, for_method, for_kind) in enumerate(self._faults):
            if for_method in (None, method) and for_kind in (None, kind):
                del self._faults[position]
                return fault
        return None

    def _apply_what_is_due(self) -> None:
        waiting = [(apply, None if after is None else after - 1) for apply, after in self._late]
        self._late = [(apply, after) for apply, after in waiting if after is None or after > 0]
        for apply, after in waiting:
            if after is not None and after <= 0:
                with contextlib.suppress(Failure):
                    apply()

    def _create(self, wanted: _Object) -> _Object:
        self._check(replace(wanted, id=""))
        return self._store(replace(wanted, id=self._new_id(wanted)))

    def _replace(self, wanted: _Object, remainder: Remainder | None) -> _Object:
        self._present(kind_of(wanted), wanted.id)
        self._check(wanted)
        return self._store(_with_settings(wanted, remainder.settings) if remainder else wanted)

    def _present(self, kind: Kind, id: str) -> SipObject:
        stored = self._objects.get(id)
        if stored is None or kind_of(stored) is not kind:
            raise Gone(Reason.PENDING, "LiveKit no longer has the object: requested object does not exist")
        return stored

    def _delete(self, kind: Kind, id: str) -> None:
        stored = self._objects.get(id)
        # The server has one method that deletes inbound and outbound trunks.
        if stored is not None and stored.kind.id_prefix == kind.id_prefix:
            del self._objects[id]

    def _set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        stored = self._objects.get(id)
        if isinstance(stored, OutboundTrunk | InboundTrunk) and stored.kind is kind:
            self._objects[id] = replace(stored, metadata=metadata)

    def _check(self, wanted: SipObject) -> None:
        match wanted:
            case OutboundTrunk():
                check_outbound(wanted)
            case InboundTrunk():
                check_inbound(wanted, self._of_kind(InboundTrunk))
            case DispatchRule():
                check_rules(wanted, self._of_kind(DispatchRule))

    def _store(self, wanted: _Object) -> _Object:
        self._objects[wanted.id] = wanted
        return without_texts(wanted)

    def _of_kind(self, kind: type[_Object]) -> list[_Object]:
        return [stored for _, stored in sorted(self._objects.items()) if isinstance(stored, kind)]

    def _listed(self, kind: type[_Object]) -> list[_Object]:
        return [self._shown(stored) for stored in self._of_kind(kind)]

    def _shown(self, stored: _Object) -> _Object:
        shown = without_texts(stored)
        return shown if self._lists_passwords else without_withheld(shown)

    def _new_id(self, sip_object: SipObject) -> str:
        return sip_object.kind.id_prefix + "".join(self._random.choices(string.ascii_letters + string.digits, k=12))


def _with_settings(sip_object: _Object, settings: tuple[str, ...]) -> _Object:
    """The object with these settings beside its fields."""
    if not settings:
        return sip_object
    names = tuple(sorted({each.partition(".")[0] for each in settings}))
    return replace(sip_object, extra=names, unknown=UnknownFields(settings))
