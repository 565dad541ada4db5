"""The policy in docs/security.md that says who may record, as it stands there, on the real API server."""

import json
import re
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from integration.scene import BASE, fresh_number
from manifests import KEYS, manifest
from testbed.bed import Bed

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_BLOCK = re.compile(r"^    apiVersion: admissionregistration.*\n(?:    .*\n)+", re.MULTILINE)
_EFFECT_S = 30
_POLL_S = 0.1
_REFUSED = "recordings may go only into the S3 buckets"


@pytest.fixture(scope="module")
def policed(installed: Bed, namespaces: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The policy, with a namespace that may record into two buckets and one of which nothing is said."""
    (block,) = _BLOCK.findall(PAGE.read_text())
    policy = textwrap.dedent(block)
    spec = {**BASE, "phoneNumber": fresh_number(), "inbound": {"recording": {}}}
    before = manifest("before", namespaces["nothing said"], spec)
    installed.kubectl("apply", "-f", "-", stdin=json.dumps(before))
    installed.kubectl("apply", "-f", "-", stdin=policy)
    deadline = time.monotonic() + _EFFECT_S
    while _REFUSED not in answer(installed, namespaces["nothing said"], {}):
        assert time.monotonic() < deadline, "the policy has no effect"
        time.sleep(_POLL_S)
    yield namespaces
    installed.kubectl("delete", "-f", "-", stdin=policy)


@pytest.fixture(scope="module")
def namespaces(installed: Bed) -> Iterator[Mapping[str, str]]:
    """Two namespaces of this module."""
    names = {"two buckets": "recording-policy-some", "nothing said": "recording-policy-none"}
    for name in names.values():
        installed.kubectl("create", "namespace", name)
    installed.kubectl("annotate", "namespace", names["two buckets"], "example.com/buckets=acme-a,acme-b")
    yield names
    installed.kubectl("delete", "namespace", "--wait=false", *names.values())


def answer(bed: Bed, namespace: str, recording: Mapping[str, Any] | None) -> str:
    """What kubectl says of a number that is not stored."""
    inbound = {} if recording is None else {"inbound": {"recording": recording}}
    number = manifest("a", namespace, {**BASE, "phoneNumber": fresh_number(), **inbound})
    return bed.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(number), check=False).stderr


def s3(bucket: str, **changes: Any) -> dict[str, Any]:
    return {"s3": {"bucket": bucket, **KEYS, **changes}}


@pytest.mark.parametrize(
    ("where", "recording", "refused"),
    [
        ("two buckets", s3("acme-a"), False),
        ("two buckets", s3("acme-b"), False),
        ("two buckets", s3("acme"), True),
        ("two buckets", s3("acme-c"), True),
        ("two buckets", s3("acme-a", endpoint="https://minio.example.com"), True),
        ("two buckets", {"gcs": {"bucket": "acme-a", **KEYS}}, True),
        ("two buckets", {}, True),
        ("two buckets", None, False),
        ("nothing said", s3("acme-a"), True),
        ("nothing said", {}, True),
        ("nothing said", None, False),
    ],
)
def test_a_namespace_records_only_into_its_buckets(
    installed: Bed, policed: Mapping[str, str], where: str, recording: Mapping[str, Any] | None, *, refused: bool
) -> None:
    said = answer(installed, policed[where], recording)
    assert (_REFUSED in said, said == "") == (refused, not refused), said


def test_a_number_from_before_stays_until_its_spec_changes(installed: Bed, policed: Mapping[str, str]) -> None:
    def changed(change: Mapping[str, Any]) -> str:
        options = ("--type=merge", "--dry-run=server", "-p", json.dumps(change))
        return installed.kubectl("-n", policed["nothing said"], "patch", "bpn", "before", *options, check=False).stderr

    assert changed({"metadata": {"finalizers": ["example.com/x"]}}) == ""
    assert changed({"spec": {"inbound": {"recording": None}}}) == ""
    assert _REFUSED in changed({"spec": {"friendlyName": "New"}})
