"""Which of our requests the API server refuses at present: each cause is told once, and once when it is over.

A **missing right** (RBAC, or a token that is not accepted) hits all objects: it keeps the process from being ready.
What admission says of one object (a policy, a webhook, a quota) does not. They differ by the API server's words only:
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
"""What differs between objects that one cause hits."""

MAX_CAUSES = 64
MAX_PLACES = 1000
"""More than that are not remembered one by one: what is told of a cause does not hang on how many objects it hits."""

TOLD_AGAIN_S = 600.0
"""A cause that comes, goes and comes is told again after so long; before that it is one cause that comes and goes."""

FORGOTTEN_S = 1800.0
"""What was not refused again for so long nobody tries any more. The longest back-off of a number is 600 s."""

_OUR_OWN_QUESTIONS = "authorization.k8s.io"


class _Kind(NamedTuple):
    """A kind of request that is refused, and for an admission's refusal its words, without names."""

    verb: str
    group: str
    resource: str
    words: str = ""

    @property
    def request(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(slots=True)
class _Cause:
    """`places`: where it is refused (a namespace, or an object's UID), since when and as what it was asked last."""

    words: str
    told: bool
    places: dict[str, tuple[float, Asked]] = field(default_factory=dict)


class Listener(Protocol):
    """Hears of our rights."""

    def right_missing(self) -> None:
        """The API server refused a request for want of a right, perhaps once more."""
        ...

    def right_regained(self) -> None:
        """A missing right is back."""
        ...


class Refusals:
    """What is refused at present. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rights: dict[_Kind, _Cause] = {}
        self._denials: dict[_Kind, _Cause] = {}
        self._told_at: dict[_Kind, float] = {}
        self._denied: dict[str, set[_Kind]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have a listener hear of rights that are missing or back."""
        self._listeners.append(listener)

    def answered(self, what: Asked, error: Failure | None) -> None:
        """The API server answered a request. Anything but an authorizer's refusal shows that we have the right."""
        if what.group == _OUR_OWN_QUESTIONS:
            return  # whoever may not ask what it may works all the same
        if isinstance(error, ApiRefused) and error.missing_right:
            words = f"{error.status}: {error.words}".rstrip(": ")
            self._add(self._rights, _Kind(*what[:3]), what.namespace, what, words)
            for listener in self._listeners:
                listener.right_missing()
        elif not isinstance(error, Unavailable):
            self.allowed(what)

    def watch_answered(self, path: str, watches: bool, status: int) -> None:  # noqa: FBT001 - `Watches.answered`
        """The API server answered a watch, or the LIST that comes before it."""
        what = asked("GET", path, watches=watches)
        self.answered(what, error_of(Answer("GET", what, status)))

    def allowed(self, what: Asked) -> None:
        """We have this right."""
        if self._rights and self._drop(self._rights, _Kind(*what[:3]), what.namespace):
            for listener in self._listeners:
                listener.right_regained()

    def denied(self, what: Asked, uid: str, words: str) -> bool:
        """A write about one object is refused for now, whatever refuses it; whether that is news about the object.

        A missing right was told already when it was answered.
        """
        words = printable(words, MAX_WORDS)
        kind = _Kind(*what[:3], without_names(words))
        known = uid in self._denied
        self._denied.setdefault(uid, set()).add(kind)
        if kind[:3] not in {each[:3] for each in self._rights}:
            self._add(self._denials, kind, uid, what, words)
        return not known

    def through(self, uid: str) -> None:
        """Nothing of this object is refused, or it is gone."""
        for kind in self._denied.pop(uid, ()):
            self._drop(self._denials, kind, uid)

    def missing(self) -> list[Asked]:
        """The rights that we lack at present, each for every namespace where it was refused."""
        self._forget_old()
        return [what for cause in self._rights.values() for _, what in cause.places.values()]

    def problems(self) -> list[str]:
        """The rights that we lack, a line each, with the API server's words."""
        self._forget_old()
        return [f"the API server refuses: {kind.request}: {cause.words}" for kind, cause in self._rights.items()]

    def counts(self) -> dict[tuple[str, ...], int]:
        """How many requests are refused by verb and resource: one for a right in a namespace, one for an object."""
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
        """Whether the last place of a cause was dropped."""
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
    """One text for all objects that a cause hits."""
    return _NAMES.sub("…", words)
