"""Measures the opening of sealed values: all of a large installation, as at a restart."""

import time

from bench.table import Row
from byoc_operator.core.credential_values import Field
from byoc_operator.sealing.sealed import KeyRing

VALUES = 10_000
BAR_S = 1.0
OLDER_KEYS = 2
"""Keys before the one that opens: right after two rotations."""


def opening_rows() -> list[Row]:
    """CPU to open `VALUES` different passwords, sealed with the first key and with the last one."""
    old = KeyRing.generate()
    ring = old
    for _ in range(OLDER_KEYS):
        ring = ring.rotated()
    return [
        _row(f"CPU, open {VALUES:,} sealed values", ring, ring, BAR_S),
        _row(f"CPU, the same sealed {OLDER_KEYS} rotations ago", ring, old, None),
    ]


def _row(what: str, ring: KeyRing, sealing: KeyRing, bar_s: float | None) -> Row:
    sealed = [sealing.seal(f"password-{count:05}-correct-horse", "voice", Field.PASSWORD) for count in range(VALUES)]
    began = time.process_time()
    for text in sealed:
        ring.open(text, "voice", Field.PASSWORD)
    took_s = time.process_time() - began
    bar = "" if bar_s is None else f"<= {bar_s:.1f} s"
    return Row(what, f"{took_s:.2f} s", bar=bar, good=None if bar_s is None else took_s <= bar_s)
