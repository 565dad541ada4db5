"""Which values of Secrets are looked for in a support bundle, and that the search ends in time whatever they are."""

import base64
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundles import unpacked
from byoc_operator.cli import support_bundle
from byoc_operator.cli.bundle_mask import Scrubber, forms
from byoc_operator.cli.bundle_sought import LONGEST, MOST, MOST_OF_A_SECRET, Sought, opened_in, values_of
from byoc_operator.core.credential_values import Field
from byoc_operator.sealing.sealed import KeyRing
from kubectl import Cluster
from operated import NAMESPACE, SYSTEM, manifest

POD = "byoc-operator-1"


def secret(data: Mapping[str, str]) -> dict[str, object]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"namespace": NAMESPACE, "name": "sip"}, "data": encoded}


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("hunter2", ["hunter2"]),
        ("hunter2\n", ["hunter2\n", "hunter2", "hunter2"]),
        ("abc", ["abc"]),
        ("my pass word", ["my pass word"]),
        ("line-one\n}\nline-two", ["line-one\n}\nline-two"] * 2 + ["line-one", "line-two"]),
        ("APIkey: s3cr3t", ["APIkey: s3cr3t", "s3cr3t"]),
        ('password = "s3cr3t"', ['password = "s3cr3t"', "s3cr3t"]),
        ("see a-long-token-of-somebody", ["see a-long-token-of-somebody", "a-long-token-of-somebody"]),
        ("this is a note that says what is what", ["this is a note that says what is what"]),
        ("", []),
    ],
)
def test_the_texts_of_a_value(value: str, texts: list[str]) -> None:
    assert list(values_of(secret({"k": value}))) == texts


def test_the_keys_in_use_come_first() -> None:
    stored = secret({"a": "value-a", "pw": "value-pw", "username": "value-user"})
    assert list(values_of(stored, ("username", "pw", "absent"))) == ["value-user", "value-pw", "value-a"]


@pytest.mark.parametrize("data", [None, 5, "text", ["a"], {"k": None}, {"k": 5}, {"k": "/w=="}])
def test_a_secret_that_is_none_has_no_values(data: object) -> None:
    assert not any(values_of({"data": data}))


def test_sealed_values_are_looked_for_opened() -> None:
    ring = KeyRing.generate()
    sealed = ring.seal("opened-password", NAMESPACE, Field.PASSWORD)
    stored = secret({"password": sealed, "username": "plain", "broken": "fernet:x"})
    assert list(opened_in(stored, ring)) == ["opened-password"]
    assert not list(opened_in(stored, None))


def test_what_is_not_looked_for_is_counted() -> None:
    sought = Sought()
    sought.add(["a", "abc", "", "good-one", "good-one", "x" * (LONGEST + 1)])
    sought.add((f"value-{each}" for each in range(10)), 4)
    assert (len(sought.texts), sought.short, sought.long, sought.beyond) == (5, 2, 1, 6)
    assert sought.passed_over == 9


def test_one_secret_does_not_use_up_the_bound_of_all() -> None:
    sought = Sought()
    for each in range(2 * MOST):
        sought.add((f"value-{each}-{count}" for count in range(100)), MOST_OF_A_SECRET)
    assert len(sought.texts) == MOST
    assert "value-0-0" in sought.texts
    assert "value-1-0" in sought.texts


@given(st.lists(st.text(min_size=4, max_size=12), max_size=8), st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_any_value_stays_in_any_text(values: list[str], before: str, after: str) -> None:
    scrubber = Scrubber()
    scrubber.hide(values)
    for value in {each.strip() for each in values}:
        for form in forms(value):
            if len(value) >= 4 and not set(value) <= {"*"}:
                assert form not in scrubber.text(f"{before}{form}{after}")


def processor_time_s(values: int, lines: Sequence[str]) -> float:
    scrubber = Scrubber()
    scrubber.hide(f"secret-value-{each:06}" for each in range(values))
    began = time.process_time()
    masked = [scrubber.text(line) for line in lines]
    assert sum("secret-value" not in line for line in masked) == min(values, len(lines))
    return time.process_time() - began


def test_the_time_of_a_log_hardly_depends_on_the_number_of_values() -> None:
    lines = [f'{{"message": "number {each} is in step", "value": "secret-value-{each:06}"}}' for each in range(2_000)]
    assert processor_time_s(MOST, lines) < 20 * processor_time_s(1, lines)


@pytest.mark.parametrize(
    "text", ["password=abc", "auth_password: 'abc'", '{"password":"abc"}', "PASSWD = abc;", "api_secret=abc"]
)
def test_what_calls_itself_a_password_is_masked_however_short(text: str) -> None:
    assert "abc" not in Scrubber().text(text)


@pytest.fixture
def logged(cluster: Cluster) -> Cluster:
    """A cluster whose Secret has short values and a note, and whose log has ordinary words."""
    note = "the note of a colleague says that this is the number of the main line"
    values = {"username": "a", "password": "abc", "note": note, "long": "x" * (LONGEST + 1)}
    cluster.api.put_secret(NAMESPACE, "sip", values)
    cluster.api.apply(manifest())
    labels = {"app.kubernetes.io/name": "byoc-operator"}
    cluster.api._create("pods", {"metadata": {"namespace": SYSTEM, "name": POD, "labels": labels}})
    cluster.api.logs[SYSTEM, POD] = ["a number of the main line is in step, says this operator", "login with pwd=abc"]
    return cluster


def test_short_values_and_notes_leave_other_lines_as_they_are(logged: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    result = logged.run("support-bundle", "-n", NAMESPACE, "-o", str(path))
    assert "3 values of Secrets were not looked for in texts; manifest.yaml says why" in result.stderr
    files = unpacked(path)
    assert files[f"logs/{POD}.log"].splitlines() == [
        "a number of the main line is in step, says this operator",
        "login with pwd=***",
    ]
    manifest_ = yaml.safe_load(files["manifest.yaml"])
    assert manifest_["valuesNotLookedFor"] == {
        "shorterThan4Characters": 2,
        "longerThan4096Characters": 1,
        "tooMany": 0,
    }
    assert "fewer than 4 characters" in manifest_["note"]
    assert "outboundTrunk.password" in manifest_["fieldsNeverCopied"]
    assert manifest_["files"][f"logs/{POD}.log"] == len(files[f"logs/{POD}.log"])


def test_what_is_not_masked_in_time_stays_out(logged: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_bundle, "MASKING_S", -1.0)
    path = tmp_path / "b.tar.gz"
    assert logged.run("support-bundle", "-n", NAMESPACE, "-o", str(path)).exit_code == 0
    files = unpacked(path)
    assert {name for name, text in files.items() if text} == {"errors.txt", "manifest.yaml"}
    assert f"logs/{POD}.log: the masking of all files takes longer than" in files["errors.txt"]
