"""What the sealing webhook answers: sealed is what was plain, kept is what was sealed, and nothing leaks."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.admission.manifest import MAX_ANNOTATION
from byoc_operator.admission.review import MAX_PLAIN, review
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.cluster.fake_patch import json_patched
from byoc_operator.core.credential_values import MAX_DOCUMENT_BYTES, Field, field_of
from byoc_operator.core.credentials import LAST_APPLIED
from byoc_operator.sealing.freshness import Keys
from byoc_operator.sealing.sealed import KeyRing, is_sealed
from storage_keys import SECRETS, SERVICE_ACCOUNT
from strategies import QUICK, json_values

RING, STRANGER = KeyRing.generate(), KeyRing.generate()
KEYS = Keys(RING)
GONE = "there is no Secret byoc-system/byoc-sealing-keys with the keys"
NAMESPACE = "voice"
PASSWORD = "correct-horse-battery"

Json = dict[str, Any]

keys = st.sampled_from(["username", "password", "token", "a.b_c-d"])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: not is_sealed(text)
)
contents = st.dictionaries(keys, texts, min_size=1)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(value: str) -> str:
    return base64.b64decode(value).decode()


def secret(plain: Json, annotation: str | None = None, *, label: str = "true", **more: Any) -> Json:
    """A Secret as the API server shows it; `plain` becomes its data."""
    metadata: Json = {"name": "sip", "namespace": NAMESPACE, "labels": {WATCH_LABEL: label}}
    if annotation is not None:
        metadata["annotations"] = {LAST_APPLIED: annotation, "team": "voice"}
    values = {key: encoded(value) for key, value in plain.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": values} | more


def applied(data: Json, part: str = "data") -> str:
    """The manifest that kubectl puts into the annotation."""
    values = {key: encoded(value) for key, value in data.items()} if part == "data" else data
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sip", "labels": {}}, part: values}
    return json.dumps(manifest, separators=(",", ":")) + "\n"


def asked(wanted: Json, old: Json | None = None) -> Json:
    request = {"uid": "u-1", "operation": "CREATE" if old is None else "UPDATE", "namespace": NAMESPACE}
    return request | {"object": wanted, "oldObject": old}


def stored(wanted: Json, old: Json | None = None, ring: KeyRing = RING) -> Json:
    """What the API server stores after the review."""
    answer = review(asked(wanted, old), Keys(ring))
    assert answer["allowed"], answer
    if "patch" not in answer:
        return wanted
    assert answer["patchType"] == "JSONPatch"
    return json_patched(wanted, json.loads(decoded(answer["patch"])))


def refusal(wanted: Json, old: Json | None = None) -> str:
    answer = review(asked(wanted, old), KEYS)
    assert not answer["allowed"]
    assert "patch" not in answer
    assert answer["status"]["code"] == 422
    return str(answer["status"]["message"])


def opened(values: Json, *, base64_: bool = True) -> Json:
    tokens = {key: decoded(value) if base64_ else value for key, value in values.items()}
    return {key: RING.open(token, NAMESPACE, field_of(key)) for key, token in tokens.items()}


def noted(kept: Json) -> Json:
    found: Json = json.loads(kept["metadata"]["annotations"][LAST_APPLIED])
    return found


@QUICK
@given(contents, st.sampled_from(["data", "stringData"]))
def test_whatever_is_plain_is_sealed_in_data_and_annotation_and_opens_to_itself(data: Json, part: str) -> None:
    kept = stored(secret(data, applied(data, part)))
    assert opened(kept["data"]) == data
    assert opened(noted(kept)[part], base64_=part == "data") == data
    assert kept["metadata"]["annotations"][LAST_APPLIED].endswith("}\n")
    assert kept["metadata"]["annotations"]["team"] == "voice"


@QUICK
@given(contents, contents, st.sampled_from(["data", "stringData"]))
def test_the_same_plain_text_again_changes_nothing(data: Json, annotation: Json, part: str) -> None:
    wanted = secret(data, applied(annotation, part))
    kept = stored(wanted)
    assert stored(wanted, kept) == kept
    assert stored(kept, kept) == kept


@QUICK
@given(contents)
def test_the_copy_in_the_annotation_has_the_token_of_the_data(data: Json) -> None:
    kept = stored(secret(data, applied(data)))
    assert noted(kept)["data"] == kept["data"]


@QUICK
@given(contents, keys, texts)
def test_only_what_changed_gets_a_new_token(data: Json, key: str, text: str) -> None:
    before = stored(secret(data))
    wanted = data | {key: text}
    after = stored(secret(wanted), before)
    assert opened(after["data"]) == wanted
    same = {each for each in data if data[each] == wanted[each]}
    assert {each for each in before["data"] if before["data"][each] == after["data"].get(each)} == same


@QUICK
@given(st.dictionaries(st.text(), json_values, max_size=5), json_values, json_values)
def test_any_request_gets_an_answer(request: Json, wanted: Any, old: Any) -> None:
    for body in (
        request,
        request | asked(wanted, old),
        asked(secret({}, None, data=wanted), secret({}, None, data=old)),
    ):
        assert review(body, KEYS)["allowed"] in (True, False)


@QUICK
@given(st.text(max_size=30) | json_values.map(json.dumps), json_values)
def test_an_annotation_is_sealed_or_refused(text: str, values: Any) -> None:
    manifest = json.dumps({"data": values, "stringData": values})
    for annotation in (text, manifest, applied({"password": PASSWORD})[:-9] + text):
        answer = review(asked(secret({}, annotation)), KEYS)
        if answer["allowed"] and "patch" not in answer:
            assert isinstance(json.loads(annotation), dict)


@QUICK
@given(contents.map(lambda data: {key: f"plain-{value}" for key, value in data.items()}), st.booleans())
def test_no_answer_holds_a_plain_value(data: Json, fails: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    annotation = applied(data) if not fails else applied(data)[:-4]
    answer = review(asked(secret(data, annotation)), KEYS)
    told = json.dumps(answer) + decoded(answer.get("patch", ""))
    assert answer["allowed"] is not fails
    assert [value for value in data.values() if value in told or encoded(value) in told] == []


def test_other_secrets_and_operations_are_left_alone() -> None:
    plain = secret({"password": PASSWORD})
    assert stored(secret({"password": PASSWORD}, label="false")) == secret({"password": PASSWORD}, label="false")
    assert stored(secret({"password": PASSWORD}, label="false"), plain)["data"] == plain["data"]
    assert review(asked(plain) | {"operation": "DELETE"}, KEYS) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize("change", [{"type": "kubernetes.io/tls"}, {"metadata": {"name": "byoc-sealing-keys"}}])
def test_what_never_holds_credentials_is_left_alone_with_a_warning(change: Json) -> None:
    wanted = secret({"tls.key": PASSWORD}) | change
    wanted["metadata"]["labels"] = {WATCH_LABEL: "true"}
    answer = review(asked(wanted), KEYS)
    assert "patch" not in answer
    assert "never holds SIP credentials" in answer["warnings"][0]


def test_a_label_put_on_seals_what_was_plain() -> None:
    plain = secret({"password": PASSWORD}, label="false")
    assert opened(stored(secret({"password": PASSWORD}), plain)["data"]) == {"password": PASSWORD}


def test_a_value_sealed_for_this_use_is_kept_as_it_is() -> None:
    wanted = secret({"password": RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD)})
    assert review(asked(wanted), KEYS) == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    ("namespace", "field", "told"),
    [("billing", Field.PASSWORD, "for another namespace"), (NAMESPACE, Field.USERNAME, "as user name")],
)
def test_a_value_sealed_for_another_use_is_refused(namespace: str, field: Field, told: str) -> None:
    token = RING.seal(PASSWORD, namespace, field)
    assert told in refusal(secret({"password": token}))
    assert told in refusal(secret({}, applied({"password": token})))
    assert token not in refusal(secret({"password": token}))


def test_a_cut_value_is_refused() -> None:
    assert "is cut" in refusal(secret({"password": RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD)[:-5]}))
    assert "key `password`" in refusal(secret({"password": "fernet:" + PASSWORD}))


def test_a_value_that_no_key_opens_is_stored_with_a_warning() -> None:
    wanted = secret({"password": STRANGER.seal(PASSWORD, NAMESPACE, Field.PASSWORD)})
    answer = review(asked(wanted), KEYS)
    assert (answer["allowed"], "patch" in answer) == (True, False)
    assert "a key that the operator does not have" in answer["warnings"][0]
    assert "warnings" not in review(asked(wanted, wanted), KEYS)


def test_a_rotated_ring_keeps_the_tokens_of_the_older_key() -> None:
    wanted = secret({"password": PASSWORD}, applied({"password": PASSWORD}))
    kept = stored(wanted)
    assert stored(wanted, kept, RING.rotated()) == kept


def test_an_older_token_in_the_annotation_stays_when_the_data_is_sealed_anew() -> None:
    wanted = secret({"password": PASSWORD}, applied({"password": PASSWORD}))
    kept = stored(wanted)
    again = json.loads(json.dumps(kept))
    again["data"]["password"] = encoded(RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD))
    assert stored(again, kept) == again
    assert stored(wanted, again) == again


@pytest.mark.parametrize(
    "annotation",
    [
        "",
        "no json",
        "[]",
        "{",
        '{"data": {"password": NaN}}',
        '{"data": [1]}',
        '{"data": {"password": 7}}',
        '{"data": {"password": "!"}}',
        '{"stringData": {"password": "\\ud800"}}',
        '{"data": {"password": "cGxhaW4="}, "data": {}}',
        '{"a":' * 2000 + "1" + "}" * 2000,
    ],
)
def test_an_annotation_that_cannot_be_read_is_refused(annotation: str) -> None:
    assert refusal(secret({}, annotation))


def test_line_ends_within_base64_are_read_as_go_reads_them() -> None:
    annotation = json.dumps({"data": {"password": "cGxh\naW4=\n"}})
    assert opened(noted(stored(secret({}, annotation)))["data"]) == {"password": "plain"}


def test_what_is_no_text_is_refused_unless_it_is_stored_already() -> None:
    binary = secret({}, data={"password": base64.b64encode(b"\xff\xfe").decode()})
    assert "not UTF-8" in refusal(binary)
    labelled = json.loads(json.dumps(binary))
    labelled["metadata"]["finalizers"] = []
    answer = review(asked(labelled, binary), KEYS)
    assert (answer["allowed"], "patch" in answer) == (True, False)
    assert "not UTF-8" in answer["warnings"][0]
    assert refusal(binary | {"data": binary["data"] | {"more": encoded("x")}}, binary)


def test_what_is_too_long_or_too_much_is_refused() -> None:
    assert "up to 256 bytes" in refusal(secret({"password": "x" * (MAX_PLAIN + 1)}))
    assert "up to 256 bytes" in refusal(secret({}, applied({"password": "x" * (MAX_PLAIN + 1)})))
    assert "more than 64 keys" in refusal(secret({f"k{index}": "v" for index in range(65)}))


@pytest.mark.parametrize("storage", SECRETS)
def test_keys_of_a_storage_are_sealed_each_for_its_field(storage: str) -> None:
    values = SECRETS[storage]
    answer = review(asked(secret(dict(values))), KEYS)
    assert "warnings" not in answer
    sealed = json_patched(secret(dict(values)), json.loads(decoded(answer["patch"])))["data"]
    assert {key: RING.open(decoded(text), NAMESPACE, field_of(key)) for key, text in sealed.items()} == values


def test_a_service_account_under_another_key_or_too_long_a_one_is_refused() -> None:
    assert "longer than any SIP credential" in refusal(secret({"key.json": SERVICE_ACCOUNT + " " * MAX_PLAIN}))
    told = refusal(secret({"credentials.json": " " * MAX_DOCUMENT_BYTES + SERVICE_ACCOUNT}))
    assert "longer than any key of a service account of Google; up to 4096 bytes are of use" in told


def test_the_author_is_warned_of_a_value_that_no_number_can_use() -> None:
    answer = review(asked(secret({"password": PASSWORD + "\n"})), KEYS)
    assert answer["allowed"]
    assert "ends with a newline" in answer["warnings"][0]
    assert "warnings" not in review(asked(secret({"password": PASSWORD})), KEYS)


def test_an_immutable_secret_keeps_what_it_has() -> None:
    old = secret({"password": PASSWORD}, immutable=True)
    answer = review(asked(old, old), KEYS)
    assert (answer["allowed"], "patch" in answer) == (True, False)
    assert "immutable" in answer["warnings"][0]
    sealed = stored(secret({"password": PASSWORD}, immutable=True))
    assert stored(old, sealed) == sealed


def test_empty_values_hide_nothing_and_stay() -> None:
    assert stored(secret({}, data={"password": "", "username": None}))["data"] == {"password": "", "username": None}
    assert stored(secret({}, data=None))["data"] is None


@pytest.mark.parametrize("token", ["fernet:gAAAAmy plain password!", "of another namespace"])
def test_what_was_stored_without_the_label_is_looked_at_when_it_gets_one(token: str) -> None:
    if "namespace" in token:
        token = RING.seal(PASSWORD, "elsewhere", Field.PASSWORD)
    old = secret({"password": token}, label="false")
    assert refusal(secret({"password": token}), old)
    frozen = secret({"password": PASSWORD}, immutable=True)
    assert "make it anew" in refusal(frozen, secret({"password": PASSWORD}, label="false", immutable=True))


def test_a_creation_does_not_tell_whether_a_guess_is_what_a_token_holds() -> None:
    token = RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD)
    wanted = secret({"password": token}, applied({"password": PASSWORD}, "stringData"))
    noted = json.loads(stored(wanted)["metadata"]["annotations"][LAST_APPLIED])["stringData"]["password"]
    assert noted != token
    assert RING.open(noted, NAMESPACE, Field.PASSWORD) == PASSWORD


def test_a_key_with_an_end_of_line_is_told_in_one_line() -> None:
    assert "\n" not in refusal(secret({"a\nb": "x" * 5000}))


LOST = pytest.mark.parametrize("lost", [Keys(None, GONE), Keys(RING, GONE)], ids=["never known", "gone since"])


@LOST
def test_without_keys_plain_text_is_refused_for_now_and_the_author_told_why(lost: Keys) -> None:
    for wanted in (secret({"password": PASSWORD}), secret({}, applied({"password": PASSWORD}))):
        answer = review(asked(wanted), lost)
        assert (answer["allowed"], answer["status"]["code"]) == (False, 503)
        assert GONE in answer["status"]["message"]


@LOST
def test_without_keys_what_needs_no_sealing_is_stored(lost: Keys) -> None:
    token = RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD)
    sealed = secret({"password": token}, applied({"password": token}))
    plain = secret({"password": PASSWORD}, applied({"password": PASSWORD}))
    unlabelled = secret({"password": PASSWORD}, label="false")
    for wanted, old in ((sealed, None), (sealed, sealed), (plain, plain), (unlabelled, plain), (unlabelled, None)):
        answer = review(asked(wanted, old), lost)
        assert answer["allowed"], answer
        assert "patch" not in answer


def test_keys_that_are_gone_still_tell_that_nothing_changes() -> None:
    token = RING.seal(PASSWORD, NAMESPACE, Field.PASSWORD)
    old = secret({"password": token}, applied({"password": token}))
    wanted = secret({"password": PASSWORD}, applied({"password": PASSWORD}))
    answer = review(asked(wanted, old), Keys(RING, GONE))
    assert json_patched(wanted, json.loads(decoded(answer["patch"]))) == old


@pytest.mark.parametrize(
    "annotation",
    [
        '{"data": {"password": "cGxhaW4="}, "metadata": {"x": 1e999}}',
        '{"stringData": {"password": "' + "x" * MAX_ANNOTATION + '"}}',
    ],
    ids=["no JSON number", "too long"],
)
def test_an_annotation_that_cannot_be_written_again_is_refused(annotation: str) -> None:
    assert "cannot be read" in refusal(secret({}, annotation))


def test_half_a_character_in_a_token_keeps_no_label_from_changing() -> None:
    old = secret({"password": PASSWORD}, '{"stringData": {"password": "fernet:\\ud800"}}')
    answer = review(asked(old, old), KEYS)
    assert answer["allowed"]
    assert "is not UTF-8" in refusal(secret({}, '{"stringData": {"password": "fernet:\\ud800"}}'))
