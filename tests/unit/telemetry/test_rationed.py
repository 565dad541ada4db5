"""Log lines that strangers can cause are rationed, all others are written."""

import logging

import pytest

from byoc_operator.telemetry import rationed
from byoc_operator.telemetry.rationed import LINES, WITHIN_S, Rationed

ADMISSION = "byoc_operator.admission.server"


def written(filter_: Rationed, name: str, count: int, text: str = "refused Secret %s") -> list[str]:
    """What is written of so many lines with different values."""
    records = [
        logging.LogRecord(name, logging.WARNING, __file__, 1, text, (index,) if "%" in text else None, None)
        for index in range(count)
    ]
    return [record.getMessage() for record in records if filter_.filter(record)]


def test_a_flood_of_one_kind_is_some_lines_and_the_last_says_so() -> None:
    now = [0.0]
    filter_ = Rationed(lambda: now[0])
    lines = written(filter_, ADMISSION, 1000)
    assert len(lines) == LINES
    assert lines[-1] == f"refused Secret {LINES - 1} (more lines like this are left out for a while)"
    assert len(written(filter_, ADMISSION, 5, "sealed values of Secret %s")) == 5, "another kind is counted apart"
    now[0] = WITHIN_S
    assert written(filter_, ADMISSION, 1) == ["refused Secret 0"]


def test_lines_about_numbers_are_all_written() -> None:
    assert len(written(Rationed(), "byoc_operator.engine.reconcile", 1000)) == 1000


def test_what_asyncio_says_of_a_connection_is_one_kind_whatever_its_address() -> None:
    filter_ = Rationed()
    texts = [f"SSL handshake failed\nprotocol: <object at {index:#x}>" for index in range(1000)]
    assert len([text for text in texts if written(filter_, "asyncio", 1, text)]) == LINES


def test_kinds_without_end_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rationed, "_MAX_KINDS", 10)
    now = [0.0]
    filter_ = Rationed(lambda: now[0])
    lines = [line for index in range(1000) for line in written(filter_, "asyncio", 1, f"kind {index}")]
    assert len(filter_._told) <= 11
    assert len(lines) == 10 + LINES
    now[0] = WITHIN_S
    assert written(filter_, "asyncio", 1, "kind 999") == ["kind 999"]
