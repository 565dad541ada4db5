"""Sealed values: they open where they were sealed for, with the ring they were sealed with, and nowhere else."""

import base64
import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import example, given
from hypothesis import strategies as st

from byoc_operator.api.conditions import Reason
from byoc_operator.core.credential_values import MAX_BYTES, Field, field_of
from byoc_operator.core.credentials import SEALED_PREFIX
from byoc_operator.errors import Stalled
from byoc_operator.sealing.sealed import MAX_SEALED, KeyRing, is_sealed
from strategies import QUICK

RING = KeyRing.generate()
KEY = "k" * 43 + "="
values = st.text(max_size=MAX_BYTES).filter(lambda text: len(text.encode()) <= MAX_BYTES)
namespaces = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
fields = st.sampled_from(Field)
MARKED = "Qz9Qz9Qz"
"""An end of a text that is valid base64, and in no message."""
ALWAYS_THERE = f"{SEALED_PREFIX}gAAAAA"
"""How every sealed text begins, whatever is sealed: Fernet's version and the upper bytes of its time."""


def refused(text: str, ring: KeyRing = RING, namespace: str = "voice", field: Field = Field.PASSWORD) -> Stalled:
    with pytest.raises(Stalled) as caught:
        ring.open(text, namespace, field)
    return caught.value


def sealed_as(content: object, ring: KeyRing = RING) -> str:
    """A token of this ring with any content."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return SEALED_PREFIX + Fernet(ring.text().split()[0]).encrypt(raw).decode()


@QUICK
@given(values, namespaces, fields)
def test_any_value_opens_to_itself_where_it_was_sealed_for(value: str, namespace: str, field: Field) -> None:
    sealed = RING.seal(value, namespace, field)
    assert is_sealed(sealed)
    assert RING.open(sealed, namespace, field) == value
    assert len(sealed) < MAX_SEALED


@pytest.mark.parametrize("field", Field)
@pytest.mark.parametrize("character", ['"', "\n", "\U0001f512"])
def test_the_longest_value_of_each_field_opens_again(field: Field, character: str) -> None:
    value = character * (field.max_bytes // len(character.encode()))
    sealed = RING.seal(value, "n" * 63, field)
    assert RING.open(sealed, "n" * 63, field) == value


@pytest.mark.parametrize("was", Field)
@pytest.mark.parametrize("is_", Field)
def test_a_value_opens_for_its_own_field_alone(was: Field, is_: Field) -> None:
    sealed = RING.seal("value", "voice", was)
    if was is is_:
        assert RING.open(sealed, "voice", is_) == "value"
        return
    with pytest.raises(Stalled) as refused:
        RING.open(sealed, "voice", is_)
    assert refused.value.reason is Reason.SEALED_FOR_ANOTHER_USE
    assert f"was sealed as {was.label} and is used as {is_.label}" in refused.value.message


@pytest.mark.parametrize("value", ["x" * MAX_BYTES, "\x01" * MAX_BYTES, "\U0001f512" * (MAX_BYTES // 4)])
def test_the_longest_values_fit(value: str) -> None:
    sealed = RING.seal(value, "n" * 63, Field.PASSWORD)
    assert RING.open(sealed, "n" * 63, Field.PASSWORD) == value
    assert len(sealed) < 2_500


@QUICK
@given(values, fields)
def test_a_value_is_never_sealed_the_same_twice(value: str, field: Field) -> None:
    assert len({RING.seal(value, "voice", field) for _ in range(3)}) == 3


@QUICK
@given(values.filter(lambda value: len(value) > 3 and value not in ALWAYS_THERE), fields)
def test_nothing_of_the_value_can_be_read_in_the_sealed_text(value: str, field: Field) -> None:
    sealed = RING.seal(value, "voice", field)
    raw = base64.urlsafe_b64decode(sealed.removeprefix(SEALED_PREFIX))
    assert value not in sealed
    assert value.encode() not in raw


def test_every_flipped_bit_of_a_sealed_text_is_refused() -> None:
    sealed = RING.seal("correct-horse", "voice", Field.PASSWORD).encode()
    start = len(SEALED_PREFIX)
    for position in range(start, len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            found = refused(changed.decode("latin-1")).reason
            assert found in (Reason.SECRET_INVALID, Reason.SEALING_KEY_UNKNOWN)


def test_every_cut_of_a_sealed_text_is_seen_as_such() -> None:
    sealed = RING.seal("correct-horse", "voice", Field.PASSWORD)
    for length in range(len(SEALED_PREFIX), len(sealed)):
        found = refused(sealed[:length])
        raw, rest = divmod((length - len(SEALED_PREFIX)) * 3, 4)
        # A cut at the border of a block looks whole: only the signature tells.
        whole = rest == 0 and raw >= 73 and (raw - 57) % 16 == 0
        assert found.reason == (Reason.SEALING_KEY_UNKNOWN if whole else Reason.SECRET_INVALID)


@QUICK
@given(st.text(max_size=300), st.sampled_from(["", "§", MARKED]))
@example("A" * 92, MARKED)
@example(base64.urlsafe_b64encode(b"\x80" + bytes(68)).decode(), MARKED)
@example(base64.urlsafe_b64encode(b"\x80" + bytes(69)).decode()[:-1], MARKED)
@example(base64.urlsafe_b64encode(b"\x80" + bytes(80)).decode(), MARKED)
def test_any_text_is_refused_without_being_quoted(text: str, end: str) -> None:
    found = refused(f"{SEALED_PREFIX}{text}{end}")
    assert found.reason in (Reason.SECRET_INVALID, Reason.SEALING_KEY_UNKNOWN)
    assert not end or f"{text}{end}" not in found.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fernet:", "cut, or is no Fernet token"),
        ("fernet:abc", "cut, or is no Fernet token"),
        ("fernet:päss", "cut, or is no Fernet token"),
        ("fernet:" + "A" * 100, "version that this operator knows"),
        ("fernet:" + base64.urlsafe_b64encode(b"\x80" + bytes(70)).decode(), "is cut"),
        ("fernet:" + "A" * MAX_SEALED, "longer than any"),
        (sealed_as(b"a token of the hosted service"), "`kubectl byoc migrate`"),
        (sealed_as(["v"]), "`kubectl byoc migrate`"),
        (sealed_as({"v": 2, "namespace": "voice", "field": "password", "value": "x"}), "content of a version"),
        (sealed_as({"v": 1, "namespace": "voice", "field": "password"}), "a content that"),
        (sealed_as({"v": 1, "namespace": "voice", "field": "password", "value": 7}), "a content that"),
        (sealed_as({"v": 1, "namespace": "voice", "field": "password", "value": "\ud800"}), "a content that"),
        (sealed_as({"v": 1, "namespace": "voice", "field": "password", "value": "x", "more": 1}), "a content that"),
    ],
    ids=range(13),
)
def test_what_is_no_sealed_value_of_ours_is_invalid_and_says_why(text: str, words: str) -> None:
    found = refused(text)
    assert found.reason == Reason.SECRET_INVALID
    assert words in found.message


def test_another_namespace_or_field_is_another_use() -> None:
    sealed = RING.seal("x", "voice", Field.PASSWORD)
    for namespace, field, words in (
        ("sales", Field.PASSWORD, "for another namespace"),
        ("voice", Field.USERNAME, "as password and is used as user name"),
    ):
        found = refused(sealed, namespace=namespace, field=field)
        assert (found.reason, words in found.message) == (Reason.SEALED_FOR_ANOTHER_USE, True)
        assert "voice" not in found.message


def test_a_key_that_is_not_in_the_ring_is_unknown() -> None:
    assert refused(KeyRing.generate().seal("x", "voice", Field.PASSWORD)).reason == Reason.SEALING_KEY_UNKNOWN


@QUICK
@given(values)
def test_after_a_rotation_old_values_open_and_new_ones_need_the_new_key(value: str) -> None:
    old = RING.seal(value, "voice", Field.PASSWORD)
    rotated = RING.rotated()
    new = rotated.seal(value, "voice", Field.PASSWORD)
    assert rotated.open(old, "voice", Field.PASSWORD) == rotated.open(new, "voice", Field.PASSWORD) == value
    assert refused(new).reason == Reason.SEALING_KEY_UNKNOWN
    assert [rotated.opened_by(new), rotated.opened_by(old)] == list(rotated.fingerprints())
    retired = rotated.without(RING.fingerprints())
    assert refused(old, retired).reason == Reason.SEALING_KEY_UNKNOWN
    assert retired.open(new, "voice", Field.PASSWORD) == value


def test_a_ring_is_read_from_its_text_and_the_key_that_seals_always_stays() -> None:
    ring = KeyRing.generate().rotated()
    assert KeyRing.parse(ring.text()) == ring
    assert KeyRing.parse(f"\n {ring.text()}\n{ring.text()}") == ring
    assert ring.without(ring.fingerprints()).fingerprints() == ring.fingerprints()[:1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no key in it"),
        (" \n\n", "there is no key in it"),
        ("secret-but-no-key", "line 1 is not a Fernet key of 44 characters"),
        (f"{KEY}\n{KEY[:-2]}", "line 2 is not a Fernet key of 44 characters"),
        (KEY + "=", "line 1 is not a Fernet key of 44 characters"),
    ],
)
def test_what_is_no_ring_names_the_line_and_never_the_key(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        KeyRing.parse(text)
    assert str(caught.value) == told


def test_a_ring_never_shows_its_keys() -> None:
    shown = f"{RING!r} {RING} {RING.fingerprints()}"
    assert RING.text().strip() not in shown
    assert RING.fingerprints()[0] in shown
    assert "_keys" not in shown


@pytest.mark.parametrize(
    ("key", "field"), [("username", Field.USERNAME), ("password", Field.PASSWORD), ("x", "password")]
)
def test_the_key_of_a_secret_tells_the_field(key: str, field: Field) -> None:
    assert field_of(key) == field
