"""Records which requests the API server refuses at present, and logs each cause once, and once when it is over.

A **missing right** (RBAC, or a token that is not accepted) concerns all objects, so the process is not ready. A refusal
by admission (a policy, a webhook, a quota) concerns one object. The two differ in the API server's message only:
https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..api.printable import printable
from ..errors import Failure, Unavailable
from .answers import MAX_WORDS, Answer, ApiRefused, Asked, asked, error_of

log = logging.getLogger(__name__)

_NAMES = re.compile(r'"[^"]*"|\d+')
"""The parts of a message that differ between objects with the same cause."""

MAX_CAUSES = 64
MAX_PLACES = 1000
"""The most causes, and the most places per cause, that are remembered."""

TOLD_AGAIN_S = 600.0
"""A cause that ends and comes back is logged again only after this time."""

FORGOTTEN_S = 1800.0
"""A refusal that is not repeated within this time is forgotten. The longest back-off of a number is 600 s."""

_OUR_OWN_QUESTIONS = "authorization.k8s.io"


class _Kind(NamedTuple):
    """A kind of request that is refused. `words`: the message of a refusal by admission, without names."""

    verb: str
    group: str
    resource: str
    words: str = ""

    @property
    def request(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(slots=True)
class _Cause:
    """Why requests of a kind are refused. `places`: by namespace or object UID, the time and the last request."""

    words: str
    told: bool
    places: dict[str, tuple[float, Asked]] = field(default_factory=dict)


class Listener(Protocol):
    """Called when a right is missing, or back."""

    def right_missing(self) -> None:
        """Note that the API server refused a request because a right is missing. May be called repeatedly."""
        ...

    def right_regained(self) -> None:
        """Note that a missing right is back."""
        ...


class Refusals:
    """The requests that are refused at present. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rights: dict[_Kind, _Cause] = {}
        self._denials: dict[_Kind, _Cause] = {}
        self._told_at: dict[_Kind, float] = {}
        self._denied: dict[str, set[_Kind]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Add a listener."""
        self._listeners.append(listener)

    def answered(self, what: Asked, error: Failure | None) -> None:
        """Record an answer. Any answer but a refusal by RBAC, or an outage, shows that the operator has the right."""
        if what.group == _OUR_OWN_QUESTIONS:
            return  # the operator works without the right to ask for its rights
        if isinstance(error, ApiRefused) and error.missing_right:
            words = f"{error.status}: {error.words}".rstrip(": ")
            self._add(self._rights, _Kind(*what[:3]), what.namespace, what, words)
            for listener in self._listeners:
                listener.right_missing()
        elif not isinstance(error, Unavailable):
            self.allowed(what)

    def watch_answered(self, path: str, watches: bool, status: int) -> None:  # noqa: FBT001 - `Watches.answered`
        """Record the answer to a watch, or to the LIST before it."""
        what = asked("GET", path, watches=watches)
        self.answered(what, error_of(Answer("GET", what, status)))

    def allowed(self, what: Asked) -> None:
        """Record that the operator has this right."""
        if self._rights and self._drop(self._rights, _Kind(*what[:3]), what.namespace):
            for listener in self._listeners:
                listener.right_regained()

    def denied(self, what: Asked, uid: str, words: str) -> bool:
        """Record that a write about one object is refused. Returns whether this object had no refusal before.

        A missing right is logged by `answered` already.
        """
        words = printable(words, MAX_WORDS)
        kind = _Kind(*what[:3], without_names(words))
        known = uid in self._denied
        self._denied.setdefault(uid, set()).add(kind)
        if kind[:3] not in {each[:3] for each in self._rights}:
            self._add(self._denials, kind, uid, what, words)
        return not known

    def through(self, uid: str) -> None:
        """Record that all writes about this object succeeded, or that the object is gone."""
        for kind in self._denied.pop(uid, ()):
            self._drop(self._denials, kind, uid)

    def missing(self) -> list[Asked]:
        """The missing rights, one entry for each namespace in which a request was refused."""
        self._forget_old()
        return [what for cause in self._rights.values() for _, what in cause.places.values()]

    def problems(self) -> list[str]:
        """The missing rights for /readyz, one line each, with the API server's message."""
        self._forget_old()
        return [f"the API server refuses: {kind.request}: {cause.words}" for kind, cause in self._rights.items()]

    def counts(self) -> dict[tuple[str, ...], int]:
        """How many refusals there are by verb and resource: one per namespace for a right, else one per object."""
        self._forget_old()
        counts: Counter[tuple[str, ...]] = Counter()
        for kind, cause in (*self._rights.items(), *self._denials.items()):
            counts[kind.verb, kind.resource] += len(cause.places)
        return counts

    def _add(self, causes: dict[_Kind, _Cause], kind: _Kind, place: str, what: Asked, words: str) -> None:
        cause, now = causes.get(kind), self._clock()
        if cause is None:
            if len(causes) >= MAX_CAUSES:
                self._end(causes, next(iter(causes)), "is not looked at any more")
            again = now - self._told_at.get(kind, float("-inf")) < TOLD_AGAIN_S
            cause = causes[kind] = _Cause(printable(words, MAX_WORDS), told=not again)
            if cause.told:
                self._told_at = {each: at for each, at in self._told_at.items() if now - at < TOLD_AGAIN_S}
                self._told_at[kind] = now
                log.warning("the API server refuses: %s: %s", kind.request, cause.words)
        if place in cause.places or len(cause.places) < MAX_PLACES:
            cause.places[place] = (now, what)

    def _drop(self, causes: dict[_Kind, _Cause], kind: _Kind, place: str) -> bool:
        """Remove a place from a cause. Returns whether the cause has ended, as it was the last place."""
        cause = causes.get(kind)
        if cause is None:
            return False
        cause.places.pop(place, None)
        if cause.places:
            return False
        self._end(causes, kind, "is no longer refused")
        return True

    def _end(self, causes: dict[_Kind, _Cause], kind: _Kind, how: str) -> None:
        if causes.pop(kind).told:
            log.info("%s %s", kind.request, how)

    def _forget_old(self) -> None:
        before = self._clock() - FORGOTTEN_S
        for causes in (self._rights, self._denials):
            for kind, cause in list(causes.items()):
                for place in [place for place, (at, _) in cause.places.items() if at < before]:
                    self._drop(causes, kind, place)


def without_names(words: str) -> str:
    """The message without names and numbers, so that it is equal for all objects with the same cause."""
    return _NAMES.sub("…", words)
