"""Reads LiveKit's lists of trunks all the time, and counts the numbers that have none.

A process of its own does it: the proxy between operator and LiveKit runs in the process of the tests, and would wait
for the interpreter while a thread there parses list after list.
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from integration.sip import Server, Sip

_ENDS_WITHIN_S = 30


@dataclass(frozen=True)
class _Access:
    url: str
    key: str
    secret: str


@contextmanager
def always_there(livekit: Server, phones: set[str]) -> Iterator[list[int]]:
    """Look at the trunks as long as the block runs.

    The list that is yielded has, after the block, how many numbers had no inbound or no outbound trunk at each look.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    over = spawning.Event()
    access = _Access(livekit.url, livekit.key, livekit.secret)
    looking = spawning.Process(target=_look, args=(access, phones, over, theirs), daemon=True)
    looking.start()
    theirs.close()
    missing: list[int] = []
    try:
        assert ours.poll(_ENDS_WITHIN_S), "the first look has not ended"
        missing += ours.recv()
        yield missing
        over.set()
        assert ours.poll(_ENDS_WITHIN_S), "the last look has not ended"
        missing += ours.recv()
    finally:
        over.set()
        looking.join(_ENDS_WITHIN_S)
        looking.kill()
        ours.close()


def _look(access: Server, phones: set[str], over: Event, told: Connection) -> None:
    """Send what the first look found, and in the end what all others did."""
    sip = Sip(access)
    told.send(_without(sip, phones))
    found: list[int] = []
    while not over.is_set():
        found += _without(sip, phones)
    told.send(found)


def _without(sip: Sip, phones: set[str]) -> list[int]:
    lists = (sip.inbound(), sip.outbound())
    return [len(phones - {each for trunk in trunks for each in trunk.numbers}) for trunks in lists]
