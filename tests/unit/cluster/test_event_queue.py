"""The order of the Events that wait, and what is dropped when too many do."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.resource import Key
from byoc_operator.cluster.event_queue import Event, EventQueue, Regarding
from strategies import QUICK

AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(namespace: str, note: str) -> Event:
    """An Event about a number of this namespace."""
    return Event(Regarding.named(Key(namespace, "main")), "Normal", "Synced", "Reconcile", note, note, AT, 0.0)


def taken(queue: EventQueue) -> list[str]:
    """The notes of all Events that wait, in the order in which they are posted."""
    return [each.note for each in iter(queue.take, None)]


def test_events_of_a_namespace_keep_their_order() -> None:
    queue = EventQueue()
    for count in range(4):
        queue.put(event("voice", str(count)))
    assert taken(queue) == ["0", "1", "2", "3"]


def test_an_event_does_not_wait_for_the_thousands_of_another_namespace() -> None:
    queue = EventQueue()
    for count in range(1000):
        queue.put(event("voice", str(count)))
    queue.put(event("byoc-system", "the installation"))
    assert taken(queue)[1] == "the installation"


def test_a_full_queue_drops_the_oldest_of_the_namespace_that_has_most() -> None:
    queue = EventQueue(most=3)
    for namespace, note in (("sales", "s"), ("voice", "0"), ("voice", "1")):
        assert queue.put(event(namespace, note)) is None
    dropped = queue.put(event("sales", "t"))
    assert dropped is not None
    assert (dropped.note, len(queue)) == ("s", 3), "of two that have as many the one that waits longer"
    dropped = queue.put(event("voice", "2"))
    assert dropped is not None
    assert dropped.note == "0"
    assert sorted(taken(queue)) == ["1", "2", "t"]


def test_an_event_that_is_given_back_is_the_first_of_its_namespace_and_others_come_before() -> None:
    queue = EventQueue()
    for namespace, note in (("voice", "0"), ("voice", "1"), ("sales", "s")):
        queue.put(event(namespace, note))
    first = queue.take()
    assert first is not None
    queue.give_back(first)
    assert taken(queue) == ["s", "0", "1"]


@QUICK
@given(st.lists(st.sampled_from(["voice", "sales", "byoc-system", "take"]), max_size=60), st.integers(1, 8))
def test_every_event_is_taken_or_dropped_exactly_once(steps: list[str], most: int) -> None:
    queue = EventQueue(most)
    out: list[Event | None] = []
    for count, step in enumerate(steps):
        out.append(queue.take() if step == "take" else queue.put(event(step, str(count))))
        assert len(queue) <= most
    notes = [each.note for each in out if each is not None] + taken(queue)
    assert sorted(notes) == sorted(str(count) for count, step in enumerate(steps) if step != "take")
    assert len(queue) == 0
