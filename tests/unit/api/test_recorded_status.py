"""The status of an object: read once into a value, whatever it holds, and read by key nowhere else."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from byoc_operator.api.conditions import Condition
from byoc_operator.api.recorded_status import (
    MAX_HOST,
    MAX_ID,
    Finding,
    LeftBehind,
    RecordedCredentials,
    RecordedIds,
    RecordedStatus,
    recorded_status,
)
from byoc_operator.api.schema_status import StatusModel
from strategies import QUICK, json_objects, json_values

FIELDS = {field.alias or to_camel(name): name for name, field in StatusModel.model_fields.items()}
texts = st.text(min_size=1, max_size=8)
_credentials = st.builds(RecordedCredentials, st.text(max_size=3), st.text(max_size=3), st.booleans())
statuses = st.builds(
    RecordedStatus,
    observed_generation=st.integers(-1, 9),
    conditions=st.lists(st.builds(Condition, texts, texts, texts, texts, st.integers(0, 9), texts), max_size=3).map(
        tuple
    ),
    ids=st.builds(RecordedIds, st.text(max_size=3), st.text(max_size=3), st.text(max_size=3)),
    live_kit=st.text(max_size=3),
    carrier=st.text(max_size=3),
    origination_uri=st.text(max_size=3),
    last_handled_refresh=st.text(max_size=3),
    last_handled_recreate=st.text(max_size=3),
    last_handled_adopt=st.text(max_size=3),
    credentials=st.none() | _credentials,
    other_credentials=st.dictionaries(st.text(min_size=1, max_size=3), _credentials, max_size=3),
    pending_changes=st.lists(texts, max_size=3).map(tuple),
    findings=st.lists(st.builds(Finding, texts, texts), max_size=3).map(tuple),
    left_behind=st.lists(st.builds(LeftBehind, texts, st.lists(texts, max_size=3).map(tuple)), max_size=3).map(tuple),
)
odd = st.dictionaries(st.sampled_from([*FIELDS, "unknown"]), json_values | st.lists(json_objects, max_size=3))


@QUICK
@given(statuses)
def test_what_is_written_is_read_again_as_the_same_value(status: RecordedStatus) -> None:
    assert recorded_status(status.json()) == status


@QUICK
@given(odd | json_values)
def test_whatever_a_status_holds_it_is_read_and_kept_for_comparison(stored: Any) -> None:
    status = recorded_status(stored)
    assert status.json() == (stored if isinstance(stored, Mapping) else {})
    assert all(isinstance(text, str) for text in (status.live_kit, status.ready.reason, *status.ids.all))


@QUICK
@given(statuses, odd)
def test_a_status_equals_what_is_wanted_only_if_their_json_is_equal(
    wanted: RecordedStatus, other: dict[str, Any]
) -> None:
    stored = {**wanted.json(), **other}
    assert (recorded_status(stored) == wanted) == (stored == wanted.json())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [7.5, {"a": 1}, [["a"], 7], "", None])
def test_a_value_of_the_wrong_type_counts_as_absent(field: str, value: object) -> None:
    status = recorded_status({"observedGeneration": 3, field: value})
    absent = recorded_status({field: value} if field == "observedGeneration" else {"observedGeneration": 3})
    if (field, value) != ("credentials", {"a": 1}):  # an object without what it should have
        assert getattr(status, FIELDS[field], None) == getattr(absent, FIELDS[field], None)
    assert status.ids == RecordedIds()


def test_a_field_of_another_version_makes_a_status_differ_from_whatever_is_wanted() -> None:
    ours = RecordedStatus(observed_generation=3, carrier="Twilio")
    stored = {**ours.json(), "ofTomorrow": 1}
    assert recorded_status(stored) != ours
    assert recorded_status(stored).json() == stored


def test_the_models_of_the_crd_and_the_value_have_the_same_fields() -> None:
    ids = {"inbound_trunk_id", "outbound_trunk_id", "dispatch_rule_id"}
    assert set(FIELDS.values()) - ids == set(RecordedStatus.__dataclass_fields__) - {"ids", "raw"}
    assert (MAX_HOST, MAX_ID) == (512, 256)


# Where a status is read

PACKAGE = Path(__file__).parents[3] / "operator" / "byoc_operator"
READS_RAW = {
    "api/recorded_status.py": "reads it",
    "api/resource.py": "hands it over to be read",
    "cluster/access.py": "the answer of a SelfSubjectAccessReview",
    "cluster/regained.py": "the answer of a SelfSubjectAccessReview",
    "cluster/fake.py": "an API server in memory",
    "admission/server.py": "the answer to an AdmissionReview",
    "api/crd.py": "the schema of a status",
}


OURS_ALONE = {name for name in FIELDS if name != name.lower()}
"""A name without capitals is no sign of a status: `carrier` is a field of the spec too."""


def raw_reads(source: str) -> Iterator[int]:
    """The lines that read a status, or a field of one, by key."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=key)):
                pass
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=key), *_]):
                pass
            case _:
                continue
        of = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
        if key == "status" or of == "status" or key in OURS_ALONE:
            yield node.lineno


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('number.status["findings"]', True),
        ('number.status.get("findings", ())', True),
        ('raw["status"]', True),
        ('(raw.get("status") or {})', True),
        ('known.get("lastHandledRefresh")', True),
        ('status["x"] = 1', True),
        ("number.status.findings", False),
        ('labels.get("carrier")', False),
        ("exc.status == 404", False),
    ],
)
def test_a_read_by_key_is_found(source: str, *, found: bool) -> None:
    assert bool(list(raw_reads(source))) is found


def test_a_status_is_read_by_key_in_one_place() -> None:
    read = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if (lines := list(raw_reads(path.read_text(encoding="utf-8"))))
    }
    assert {name: lines for name, lines in read.items() if name not in READS_RAW} == {}
    assert set(READS_RAW) <= set(read), "an exception that nobody needs"
