"""Fields that a LiveKit server sets by itself: replies to our writes have them, and our requests do not.

They do not count as differences: `docs/decisions/0004-learn-what-the-server-fills-in.md`.
"""

from dataclasses import replace
from typing import TypeVar

from ..core.trunk import Kind, SipObject, UnknownFields, contradicting, kept_settings

_Object = TypeVar("_Object", bound=SipObject)


class ServerMade:
    """What one server sets by itself, as its replies show."""

    def __init__(self) -> None:
        self._known: set[tuple[Kind, str]] = set()

    def learn(self, reply: SipObject, sent: SipObject | None) -> None:
        """Take in the reply to a write. `sent`: what the request carried over, as an object; None for nothing."""
        names = {*reply.extra, *kept_settings(reply)}
        if sent is not None:
            names -= {*sent.extra, *kept_settings(sent)}
        self._known |= {(reply.kind, name) for name in names}

    def without(self, listed: _Object) -> _Object:
        """The object, with only those unknown fields that somebody else has set."""
        if not listed.extra:
            return listed
        extra = self._others(listed.kind, listed.extra)
        if not extra:
            return replace(listed, extra=(), unknown=None)
        settings = self._others(listed.kind, kept_settings(listed))
        unknown = UnknownFields(settings, self._others(listed.kind, contradicting(listed)))
        return replace(listed, extra=extra, unknown=unknown)

    def _others(self, kind: Kind, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if (kind, name) not in self._known)
