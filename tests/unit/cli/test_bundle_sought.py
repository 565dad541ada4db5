"""Which values of Secrets are looked for in a support bundle, and that the search ends in time whatever they are."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundles import unpacked
from byoc_operator.cli import support_bundle
from byoc_operator.cli.bundle_archive import Archive
from byoc_operator.cli.bundle_mask import SAMPLED, Scrubber, forms, some_pieces
from byoc_operator.cli.bundle_parts import Parts
from byoc_operator.cli.bundle_sought import CONSIDERED, MOST, MOST_CHARACTERS, MOST_OF_A_SECRET, Sought
from byoc_operator.cli.bundle_texts import LONGEST, Rank, Text, unreadable_in, values_of
from byoc_operator.cli.support_bundle import MASKING_S, fill
from byoc_operator.core.credential_values import Field
from byoc_operator.sealing.sealed import KeyRing
from kubectl import Cluster
from operated import NAMESPACE, PHONE, SYSTEM, manifest
from storage_keys import PRIVATE_LINE, SERVICE_ACCOUNT

POD = "byoc-operator-1"


def secret(data: Mapping[str, str]) -> dict[str, object]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"namespace": NAMESPACE, "name": "sip"}, "data": encoded}


def texts_of(data: Mapping[str, str], *used: str) -> list[str]:
    return [each.text for each in values_of(secret(data), used)]


def sought_of(data: Mapping[str, str], *used: str, phones: Sequence[str] = ()) -> Sought:
    sought = Sought()
    sought.add_by_turns({NAMESPACE: [sought.chosen(values_of(secret(data), used), phones)]})
    return sought


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("hunter2", ["hunter2"]),
        ("hunter2\n", ["hunter2\n", "hunter2"]),
        ("abc", ["abc"]),
        ("my pass word", ["my pass word"]),
        ("line-one\n}\nline-two", ["line-one\n}\nline-two", "line-one", "line-two"]),
        ("APIkey: s3cr3t", ["APIkey: s3cr3t", "s3cr3t"]),
        ('password = "s3cr3t"', ['password = "s3cr3t"', "s3cr3t"]),
        ('"password": "s3cr3t",', ['"password": "s3cr3t",', "s3cr3t"]),
        ("- 'pin': s3cr3t", ["- 'pin': s3cr3t", "s3cr3t"]),
        ("export PIN=s3cr3t", ["export PIN=s3cr3t", "s3cr3t"]),
        ("see a-long-token-of-somebody", ["see a-long-token-of-somebody", "a-long-token-of-somebody"]),
        ("see 'a-long-token-of-somebody',", ["see 'a-long-token-of-somebody',", "a-long-token-of-somebody"]),
        ("this is a note that says what is what", ["this is a note that says what is what"]),
        ("amqp://u:p4ss@h/", ["amqp://u:p4ss@h/", "//u:p4ss@h/", "p4ss", "u"]),
        ("redis://:p%40ss@h", ["redis://:p%40ss@h", "//:p%40ss@h", "p%40ss", "p@ss"]),
        ("", []),
    ],
)
def test_the_texts_of_a_value(value: str, texts: list[str]) -> None:
    assert list(filter(None, dict.fromkeys(texts_of({"k": value})))) == texts


@pytest.mark.parametrize(
    "document",
    [
        {"outer": {"inner": ["n3sted-one", {"deep": "n3sted-two"}]}},
        ["n3sted-one", ["n3sted-two"]],
        {"a": "https://hooks.example/services/n3sted-one", "b": "https://u:n3sted-two@h/x"},
        {"password": 12345678, "ports": [5060], "n": "n3sted-one", "m": "n3sted-two"},
    ],
)
def test_every_string_of_json_is_looked_for(document: object) -> None:
    found = texts_of({"k": json.dumps(document)})
    assert any("n3sted-one" in each for each in found[1:])
    assert "n3sted-two" in found
    assert ("12345678" in found) is ("12345678" in str(document))
    assert "5060" not in found
    if "hooks" in str(document):
        assert "https://hooks.example/services/n3sted-one" in found


@pytest.mark.parametrize("value", ["[" * 100_000, '{"a":' * 100_000, "[" * 400 + '"d33p-secret"' + "]" * 400])
def test_deep_json_ends_nothing(value: str) -> None:
    assert ("d33p-secret" in texts_of({"k": value})) is ("d33p" in value)


def test_the_addresses_of_every_key_of_google_are_no_secrets() -> None:
    found = texts_of({"credentials.json": SERVICE_ACCOUNT}, "credentials.json")
    assert PRIVATE_LINE in found
    assert "acme" not in sought_of({"credentials.json": SERVICE_ACCOUNT}, "credentials.json").texts, "its project"
    assert "magic" in sought_of({"k": '{"type": "info", "private_key": "magic"}'}, "k").texts
    assert not {"https://oauth2.googleapis.com/token", "googleapis.com", "service_account"} & set(found)


@pytest.mark.parametrize("data", [{"env": "DEBUG=true\nLOG_LEVEL=info\nPORT=5060"}, {"LOG_LEVEL": "info"}])
def test_ordinary_words_are_not_looked_for(data: Mapping[str, str]) -> None:
    sought = sought_of(data)
    assert not {"true", "info", "5060"} & sought.texts
    assert sought.ordinary


@pytest.mark.parametrize("word", ["Ready", "Synced", "ByocPhoneNumber", "InboundOpen", "econcilin", "namespace"])
def test_words_of_the_product_are_looked_for_only_as_a_value_in_use(word: str) -> None:
    lines = {"a": f"{word}\nsomething", "b": f"password={word}", "c": word}
    assert word not in sought_of(lines).texts
    assert word not in sought_of(lines, "a", "b").texts
    assert word in sought_of(lines, "c").texts


@pytest.mark.parametrize(
    "data", [{"password": "magic"}, {"env": "A=b\nDB_PASSWORD=magic"}, {"j": '{"token": "magic"}'}]
)
def test_a_word_that_its_name_calls_a_password_is_looked_for(data: Mapping[str, str]) -> None:
    assert "magic" in sought_of(data).texts


@pytest.mark.parametrize("value", ["magic", "Ready", "12345", "info\n", "LEVEL=magic"])
def test_what_a_key_in_use_has_is_looked_for_whatever_it_is(value: str) -> None:
    assert {value, value.strip(), value.rpartition("=")[2].strip()} <= sought_of({"x": value}, "x").texts


def test_the_keys_in_use_come_first() -> None:
    stored = {"a": "value-a", "pw": "value-pw", "username": "value-user"}
    assert texts_of(stored, "username", "pw", "absent") == ["value-user", "value-pw", "value-a"]


def test_every_value_in_use_comes_before_the_lines_of_one() -> None:
    stored = {"first": "\n".join(f"line-{each}" for each in range(2 * CONSIDERED)), "second": "s3cond-in-use"}
    sought = sought_of(stored, "first", "second")
    assert "s3cond-in-use" in sought.texts
    assert len(sought.texts) <= MOST_OF_A_SECRET
    assert sought.beyond > 1


@pytest.mark.parametrize("data", [None, 5, "text", ["a"], {"k": None}, {"k": 5}, {"k": "/w=="}])
def test_a_secret_that_is_none_has_no_values(data: object) -> None:
    assert not [each for each in values_of({"data": data}) if each.text]


def test_values_that_are_no_text_are_counted() -> None:
    assert unreadable_in({"data": {"binary": "/w==", "wrong": "!", "text": "YQ==", "none": None}}) == 2


def test_sealed_values_are_looked_for_opened() -> None:
    ring = KeyRing.generate()
    sealed = ring.seal("opened-password", NAMESPACE, Field.PASSWORD)
    stored = secret({"password": sealed, "username": "plain", "broken": "fernet:x"})
    assert next(values_of(stored, ("password",), ring)) == Text("opened-password", Rank.VALUE_IN_USE)
    assert "opened-password" not in {each.text for each in values_of(stored)}


def test_what_is_not_looked_for_is_counted() -> None:
    sought = Sought()
    sought.add(["a", "abc", "", "good-one", "good-one", "x" * (LONGEST + 1)])
    chosen = sought.chosen(map(Text, ["abc", *(f"value-{each}" for each in range(MOST_OF_A_SECRET + 6)), "info"]))
    sought.add_by_turns({"a": [chosen]})
    assert len(sought.texts) == 1 + MOST_OF_A_SECRET
    assert (sought.short, sought.long, sought.beyond, sought.ordinary) == (3, 1, 6, 1)
    assert sought.passed_over == 11


def test_the_user_name_that_is_a_number_of_its_namespace_is_no_secret() -> None:
    values = {"username": PHONE, "password": PHONE[1:], "note": PHONE}
    sought = sought_of(values, "username", "password", phones=[PHONE[1:]])
    assert sought.texts == {PHONE[1:]}, "a password is one whatever it looks like"
    assert sought.phones == 1
    assert PHONE in sought_of(values, "username").texts, "the number is one of another namespace"


def many(name: str, secrets: int, rank: Rank, characters: int = 0) -> list[list[Text]]:
    return [
        [Text(f"{name}-{each}-{value}".ljust(characters, "."), rank) for value in range(MOST_OF_A_SECRET)]
        for each in range(secrets)
    ]


@pytest.mark.parametrize("characters", [0, LONGEST])
def test_one_namespace_does_not_use_up_the_room_of_others(characters: int) -> None:
    sought = Sought()
    sought.add_by_turns(
        {"a": many("a", 2 * MOST // MOST_OF_A_SECRET, Rank.OTHER, characters), "b": many("b", 2, Rank.OTHER)}
    )
    assert {text.text for secret in many("b", 2, Rank.OTHER) for text in secret} <= sought.texts
    assert len(sought.texts) <= MOST
    assert sum(map(len, sought.texts)) <= MOST_CHARACTERS
    assert sought.beyond


def test_what_numbers_use_comes_before_all_else() -> None:
    sought = Sought()
    used = [Text("the-password-of-b", Rank.VALUE_IN_USE)]
    sought.add_by_turns({"a": many("a", MOST // 8, Rank.PART_IN_USE), "b": [*many("b", 9, Rank.NAMED), used]})
    assert "the-password-of-b" in sought.texts
    sought.add(["the-operators-own-key"])
    assert "the-operators-own-key" in sought.texts, "it is outside the bounds"


@pytest.mark.parametrize("text", ["a" * 100_000, "abcd", "\U0001f600" * LONGEST])
def test_few_parts_of_a_secret_are_compared(text: str) -> None:
    for form in forms(text):
        assert 1 <= len(some_pieces(form)) <= SAMPLED
        assert all(len(each) == 4 and each in form for each in some_pieces(form))


def test_the_time_is_looked_at_before_each_secret() -> None:
    looks = iter([False, False, True])
    scrubber = Scrubber()
    assert not scrubber.hide(["secret-a", "secret-b", "secret-c", "secret-d"], lambda: next(looks))
    assert scrubber.text("secret-a secret-b secret-c") == "*** *** secret-c"
    assert scrubber.hide(["secret-c"])


@given(st.lists(st.text(min_size=4, max_size=12), max_size=8), st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_any_value_stays_in_any_text(values: list[str], before: str, after: str) -> None:
    scrubber = Scrubber()
    scrubber.hide(values)
    for value in {each.strip() for each in values}:
        for form in forms(value):
            if len(value) >= 4 and not set(value) <= {"*"}:
                assert form not in scrubber.text(f"{before}{form}{after}")


class Line(str):
    """A line that counts how many secrets are looked for in it."""

    __slots__ = ("looks",)

    def __contains__(self, text: object) -> bool:
        self.looks = getattr(self, "looks", 0) + 1
        return isinstance(text, str) and self.find(text) >= 0


def test_few_of_many_secrets_are_looked_for_in_a_line() -> None:
    scrubber = Scrubber()
    scrubber.hide(f"secret-value-{each:06}" for each in range(MOST))
    lines = [Line(f'{{"message": "in step", "value": "secret-value-{each:06}"}}') for each in range(0, 2 * MOST, 40)]
    masked = [scrubber.text(line) for line in lines]
    assert sum("secret-value" not in line for line in masked) == len(range(0, MOST, 40))
    assert sum(getattr(line, "looks", 0) for line in lines) < 100 * len(lines)


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
        "ordinaryWords": 0,
        "phoneNumbersOfTheNamespace": 0,
        "notText": 0,
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


def test_no_file_gets_in_when_the_time_ends_while_secrets_are_made_known() -> None:
    parts, archive, times = Parts(), Archive(), iter([0.0, 1.0, *[MASKING_S + 1] * 9])
    parts.sought.add(["secret-a", "secret-b", "secret-c"])
    parts.texts["logs/a.log"] = ["secret-a secret-b secret-c"]
    archive.missing("events.yaml", "a server said secret-c")
    fill(archive, parts, Scrubber(), lambda: next(times))
    assert archive.files.keys() == {"manifest.yaml", "errors.txt"}
    everything = b"".join(archive.files.values()).decode()
    assert "logs/a.log: the masking of all files takes longer than 60 s" in everything
    assert "secret-" not in everything
