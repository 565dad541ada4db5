"""`kubectl byoc plan`: what it shows, and with which code it ends."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import GROUP, KIND, VERSION
from byoc_operator.core.credential_values import field_of
from byoc_operator.core.ownership import Mark, Owner, rule_name
from byoc_operator.core.trunk import SOUND, DispatchRule, InboundTrunk, Masked, OutboundTrunk, SipObject, UnknownFields
from byoc_operator.errors import Unavailable
from judged_site import Site, known
from kubectl import FORBIDDEN
from operated import NAME, NAMESPACE, PASSWORD, PHONE, SYSTEM, USER, manifest
from storage_keys import SECRETS, TEXTS, recording

OWNER = Owner("cluster-a", NAMESPACE, NAME)
MARK = Mark(OWNER).dump()
METADATA = (
    '{"agentId":"agent_support","direction":"inbound","name":"main","namespace":"voice","phoneNumber":"+19876543210"}'
)


@pytest.fixture
def site() -> Site:
    found = Site()
    found.api.apply(manifest())
    found.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    return found


def outbound(**changes: Any) -> OutboundTrunk:
    made = OutboundTrunk(
        PHONE, MARK, "sip.example.com", "TLS", (PHONE,), known(USER), known(PASSWORD), media_encryption="Required"
    )
    return replace(made, id="ST_out", **changes)


INBOUND = InboundTrunk(PHONE, MARK, (PHONE,), media_encryption="Required", id="ST_in")
RULE = DispatchRule(rule_name(OWNER), ("ST_in",), "call-", "agent_support", METADATA, id="SDR_rule")
IN_STEP: list[SipObject] = [outbound(), INBOUND, RULE]


def stated(**changes: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, **manifest(**changes)}


def one(site: Site, *args: str, stdin: str = "") -> dict[str, Any]:
    result = site.ask("plan", "-o", "json", *args, stdin=stdin)
    assert result.stdout, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["kind"] == "PlanList"
    (item,) = found["items"]
    return dict(item)


def test_a_number_in_step_changes_nothing(site: Site) -> None:
    site.objects = [*IN_STEP]
    result = site.ask("plan", NAME)
    assert (result.exit_code, result.stdout) == (0, "1 number: 1 unchanged\n")
    assert result.stderr == ""


def test_a_new_number_is_created_field_by_field(site: Site) -> None:
    result = site.ask("plan", NAME)
    assert result.exit_code == 6
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["voice/main", "Create", "outbound", "trunk", "outboundTrunk.address", "-", "sip.example.com"] in rows
    assert ["voice/main", "Create", "outbound", "trunk", "outboundTrunk.password", "-", "(set)"] in rows
    kinds = [change["kind"] for change in one(site, NAME)["changes"]]
    assert kinds == ["outboundTrunk", "inboundTrunk", "dispatchRule"]


def test_old_and_new_are_told(site: Site) -> None:
    site.objects = [*IN_STEP]
    item = one(
        site,
        "-f",
        "-",
        stdin=yaml.safe_dump(stated(terminationUri="other.example.com", transport="TCP", mediaEncryption="Allowed")),
    )
    assert (item["result"], item["reason"]) == ("Changes", "")
    trunk, inbound = item["changes"]
    assert (trunk["action"], trunk["id"]) == ("Replace", "ST_out")
    assert trunk["fields"] == [
        {"path": "outboundTrunk.address", "old": "sip.example.com", "new": "other.example.com"},
        {"path": "outboundTrunk.transport", "old": "TLS", "new": "TCP"},
        {"path": "outboundTrunk.mediaEncryption", "old": "Required", "new": "Allowed"},
    ]
    assert [each["path"] for each in inbound["fields"]] == ["inboundTrunk.mediaEncryption"]


def test_several_documents_in_json_and_yaml_with_braces_are_read(site: Site) -> None:
    site.objects = [*IN_STEP]
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}
    several = f"{json.dumps(stated())}\n---\n{json.dumps(other)}"
    for text in (several, yaml.safe_dump(stated(), default_flow_style=True)):
        result = site.ask("plan", "-f", "-", stdin=text)
        assert (result.exit_code, "1 unchanged" in result.stdout) == (0, True), result.output


def test_a_credential_is_never_shown(site: Site) -> None:
    site.objects = [outbound(password=known("another-password")), INBOUND, RULE]
    (change,) = one(site, NAME)["changes"]
    assert change["fields"] == [{"path": "outboundTrunk.password", "old": None, "new": "(changed)"}]


@pytest.mark.parametrize("storage", SECRETS)
def test_keys_of_a_storage_are_never_shown(site: Site, storage: str) -> None:
    site.objects = [*IN_STEP]
    site.api.put_secret(NAMESPACE, "recordings", SECRETS[storage])
    text = yaml.safe_dump(stated(inbound=recording(storage)))
    (change,) = one(site, "-f", "-", stdin=text)["changes"]
    told = {
        each["path"].removeprefix("dispatchRule.recording"): (each["old"], each["new"]) for each in change["fields"]
    }
    assert told.pop("") == (None, "Sound")
    assert told.pop(".path") == (None, "calls/")
    assert told.pop(".storage")[1]["type"] == storage
    assert set(told.values()) == {(None, "(set)")}
    place = {**recording(storage)["recording"][storage], "type": storage}
    del place["credentialsSecretRef"]
    there = replace(RULE, recording=SOUND, recording_path="calls/", recording_storage=place)
    access_key = known("another-id") if storage == "s3" else None
    there = replace(there, recording_access_key=access_key, recording_secret=known("another-key"))
    site.objects = [outbound(), INBOUND, there]
    (change,) = one(site, "-f", "-", stdin=text)["changes"]
    assert {each["path"] for each in change["fields"]} == {
        *(("dispatchRule.recording.accessKeyId",) if storage == "s3" else ()),
        "dispatchRule.recording.secret",
    }
    assert {(each["old"], each["new"]) for each in change["fields"]} == {(None, "(changed)")}
    shown = site.ask("plan", "-f", "-", stdin=text).output
    assert not any(each in shown for each in (*TEXTS, "another-id", "another-key"))


def test_a_secret_in_the_file_is_used(site: Site) -> None:
    site.objects = [*IN_STEP]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sip"},
        "stringData": {"username": USER, "password": "another-one"},
    }
    found = one(site, "-f", "-", stdin=yaml.safe_dump_all([stated(), secret]))
    assert [field["path"] for change in found["changes"] for field in change["fields"]] == ["outboundTrunk.password"]


def test_sealed_credentials_are_compared(site: Site) -> None:
    site.objects = [*IN_STEP]
    values = {"username": USER, "password": PASSWORD}
    site.api.put_secret(
        NAMESPACE, "sip", {key: site.ring.seal(text, NAMESPACE, field_of(key)) for key, text in values.items()}
    )
    assert site.ask("plan", NAME).exit_code == 0
    site.api.without = {("get", "secrets")}
    told = one(site, NAME)
    assert (told["result"], told["credentialsUnknown"]) == ("Unchanged", "Secret voice/sip: you may not read this")


def test_sealed_credentials_that_nobody_opens_are_not_compared(site: Site) -> None:
    site.objects = [outbound(password=known("another-password")), INBOUND, RULE]
    sealed = {
        key: site.ring.seal(text, NAMESPACE, field_of(key)) for key, text in (("username", USER), ("password", "x"))
    }
    site.api.put_secret(NAMESPACE, "sip", sealed)
    site.api._remove(("secrets", SYSTEM, "byoc-sealing-keys"))
    told = json.loads(_unsealed(site))["items"][0]
    assert told["result"] == "Unchanged"
    assert "its values are sealed, and there is no Secret byoc-system/byoc-sealing-keys" in told["credentialsUnknown"]


def _unsealed(site: Site) -> str:
    return site.ask("plan", "-o", "json", NAME).stdout


def test_an_invalid_manifest_is_told_in_the_words_of_the_crd_without_livekit(site: Site) -> None:
    site.environ = {}
    result = site.ask("plan", "-f", "-", stdin=yaml.safe_dump(stated(terminationUri="sip:x", transport="UDP")))
    assert result.exit_code == 1
    assert "spec.terminationUri: must be" in result.stderr
    assert "spec.mediaEncryption: must be Allowed or Disabled unless transport is TLS" in result.stderr


def test_the_number_cannot_be_changed(site: Site) -> None:
    result = site.ask("plan", "-f", "-", stdin=yaml.safe_dump(stated(phoneNumber="+4930123456")))
    assert (result.exit_code, "spec.phoneNumber: cannot be changed" in result.stderr) == (1, True)


def test_what_is_in_the_way_is_told(site: Site) -> None:
    site.objects = [InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")]
    result = site.ask("plan", NAME)
    assert (result.exit_code, "NumberConflict" in result.stderr, "ST_theirs" in result.stderr) == (1, True, True)


def test_another_object_has_the_number(site: Site) -> None:
    site.objects = [*IN_STEP]
    item = one(site, "-f", "-", stdin=yaml.safe_dump(stated(name="second")))
    assert (item["result"], item["reason"]) == ("Blocked", Reason.NUMBER_CLAIMED)
    assert "main" in item["message"]


def test_an_alias_of_another_object_is_told_and_the_rest_is_planned(site: Site) -> None:
    site.objects = [*IN_STEP]
    aliases = {"aliases": [PHONE.removeprefix("+"), "200"]}
    item = one(site, "-f", "-", stdin=yaml.safe_dump(stated(name="second", phoneNumber="+4930123456", inbound=aliases)))
    assert (item["result"], item["reason"]) == ("Blocked", Reason.ALIAS_UNAVAILABLE)
    assert f"{PHONE.removeprefix('+')} is held by ByocPhoneNumber main as its number" in item["message"]
    fields = {field["path"]: field["new"] for change in item["changes"] for field in change["fields"]}
    assert "200" in fields["inboundTrunk.numbers"]
    assert PHONE.removeprefix("+") not in fields["inboundTrunk.numbers"]


def test_an_adoption_shows_what_it_takes_over(site: Site) -> None:
    site.objects = [
        outbound(metadata="", name="Office"),
        replace(INBOUND, metadata=""),
        replace(RULE, name="their-rule"),
    ]
    wish = {"adopt": "ST_out,ST_in,SDR_rule"}
    item = one(site, "-f", "-", stdin=yaml.safe_dump(stated(annotations=wish)))
    assert item["result"] == "Changes"
    assert [change["action"] for change in item["changes"]] == ["Replace"] * 3
    paths = [field["path"] for change in item["changes"] for field in change["fields"]]
    assert paths == [
        "outboundTrunk.name",
        "outboundTrunk.metadata",
        "inboundTrunk.metadata",
        "dispatchRule.name",
    ]


def test_fields_of_others_are_erased_after_the_word(site: Site) -> None:
    site.objects = [outbound(metadata="", extra=("include_headers",)), INBOUND, RULE]
    wish = {"adopt": "ST_out"}
    waiting = one(site, "-f", "-", stdin=yaml.safe_dump(stated(annotations=wish)))
    assert (waiting["result"], waiting["pendingErasures"]) == ("Blocked", ["outboundTrunk.include_headers"])
    forced = one(site, "-f", "-", stdin=yaml.safe_dump(stated(annotations={"adopt": "ST_out,force"})))
    assert {"path": "outboundTrunk.include_headers", "old": "(set)", "new": None} in forced["changes"][0]["fields"]


def test_fields_of_others_stay_where_the_setting_says_so() -> None:
    site = Site(BYOC_UNKNOWN_FIELDS="Keep")
    site.api.apply(manifest())
    site.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    unknown = UnknownFields(("room_preset",), ("rule",))
    site.objects = [outbound(), INBOUND, replace(RULE, extra=("room_preset", "rule"), unknown=unknown)]
    (change,) = one(site, NAME)["changes"]
    assert [field["path"] for field in change["fields"]] == ["dispatchRule.rule"]


@pytest.mark.parametrize(
    ("changes", "annotations", "words"),
    [({"managementPolicy": "Observe"}, {}, "Observe"), ({}, {"paused": "true"}, "annotation paused")],
)
def test_who_may_not_write_is_judged_all_the_same(
    site: Site, changes: dict[str, Any], annotations: dict[str, str], words: str
) -> None:
    site.objects = [replace(outbound(), address="drifted.example.com"), INBOUND, RULE]
    item = one(site, "-f", "-", stdin=yaml.safe_dump(stated(annotations=annotations, **changes)))
    assert (item["result"], words in item["held"]) == ("Changes", True)


def test_a_deletion_is_shown(site: Site) -> None:
    site.objects = [*IN_STEP]
    stored = site.api._objects["byocphonenumbers", NAMESPACE, NAME]
    stored["metadata"] |= {"deletionTimestamp": "2027-01-01T00:00:00Z", "finalizers": ["byoc.talkifai.dev/finalizer"]}
    actions = [(change["action"], change["id"]) for change in one(site, NAME)["changes"]]
    assert actions == [("Delete", "SDR_rule"), ("Delete", "ST_in"), ("Delete", "ST_out")]


def test_a_server_that_lists_no_passwords(site: Site) -> None:
    site.objects, site.lists_passwords = [*IN_STEP], False
    item = one(site, NAME)
    assert [field["path"] for change in item["changes"] for field in change["fields"]] == ["outboundTrunk.password"]
    site.api.edit(NAMESPACE, NAME, friendlyName="x")
    assert item["result"] == "Changes", "the status names no Secret that was written"


def test_livekit_that_does_not_answer_is_one_line(site: Site) -> None:
    site.fault = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time")
    result = site.ask("plan", NAME)
    assert (result.exit_code, result.stderr) == (1, "kubectl byoc: LiveKit did not answer in time\n")
    site.environ = {}
    assert "LiveKit cannot be read: " in site.ask("plan", NAME).stderr


def test_a_missing_right_has_an_exit_code_of_its_own(site: Site) -> None:
    site.environ = {}
    site.api.without = {("list", "deployments"), ("get", "configmaps")}
    for command in (("plan", NAME), ("import", "--all")):
        result = site.ask(*command)
        assert (result.exit_code, result.stderr.count("you may not read this")) == (3, 1), result.stderr


def test_a_right_that_would_not_help_is_no_missing_right(site: Site) -> None:
    site.environ = {}
    site.api.without = {("get", "namespaces")}
    result = site.ask("import", "--all")
    assert (result.exit_code, "no key for LiveKit is known; set" in result.stderr) == (1, True), result.stderr


def test_objects_that_cannot_be_listed_are_told(site: Site) -> None:
    site.objects = [*IN_STEP]
    site.api.without = {("list", "byocphonenumbers")}
    result = site.ask("plan", NAME)
    assert (result.exit_code, "whether another one has a number is not known" in result.stderr) == (0, True)


def test_settings_that_cannot_be_read_are_told(site: Site) -> None:
    site.api.inject(FORBIDDEN, "GET", "configmaps")
    result = site.ask("plan", NAME)
    assert (result.exit_code, "the operator's settings are not known" in result.stderr) == (3, True)


def test_where_no_operator_is_no_right_is_missing(site: Site) -> None:
    site.api.without = {("list", "pods"), ("get", "leases"), ("get", "namespaces")}
    result = site.ask("plan", NAME, "--operator-namespace", "elsewhere")
    assert (result.exit_code, "the namespace elsewhere has none with the label" in result.stderr) == (1, True)


def test_a_cluster_id_that_may_not_be_read_is_a_missing_right() -> None:
    site = Site(BYOC_INSTALLATION_ID="")
    site.api.apply(manifest())
    site.api.without = {("get", "namespaces")}
    result = site.ask("plan", NAME)
    assert (result.exit_code, "namespace kube-system: you may not read this" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    ("args", "stdin", "words"),
    [
        ((), "", "name either numbers or files"),
        ((NAME, "-f", "-"), "", "name either numbers or files"),
        (("-f", "/nowhere/at-all.yaml"), "", "the file cannot be read"),
        (("-f", "-"), "a: [", "the file is no YAML"),
        (("-f", "-"), "- 1", "document 1: it is no object"),
        (("-f", "-"), "\x00", "no YAML"),
        (("-f", "-"), "{", "no YAML or JSON"),
        (("-f", "-"), "a: &a [*a]", "nests them too deeply"),
        (("-f", "-"), yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {}}), "no metadata.name"),
        (("-f", "-"), yaml.safe_dump_all([stated(), stated()]), "stands there twice"),
    ],
)
def test_wrong_input_is_one_line(site: Site, args: tuple[str, ...], stdin: str, words: str) -> None:
    result = site.ask("plan", *args, stdin=stdin)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_aliases_of_yaml_cannot_fill_the_memory(site: Site) -> None:
    layers = ["a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    layers += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    result = site.ask("plan", "-f", "-", stdin="\n".join(layers))
    assert (result.exit_code, "too many values" in result.stderr) == (2, True)


def test_other_documents_are_passed_over(site: Site) -> None:
    site.objects = [*IN_STEP]
    several = [None, {"kind": "Namespace", "apiVersion": "v1"}, {"kind": "List", "items": [stated()]}]
    result = site.ask("plan", "-f", "-", stdin=yaml.safe_dump_all(several))
    assert (result.exit_code, "passed over: standard input: Namespace" in result.stderr) == (0, True)


def test_two_manifests_of_one_number(site: Site) -> None:
    several = [stated(name="a", phoneNumber="+4930123456"), stated(name="b", phoneNumber="+4930123456")]
    found = json.loads(site.ask("plan", "-o", "json", "-f", "-", stdin=yaml.safe_dump_all(several)).stdout)
    assert [each["result"] for each in found["items"]] == ["Changes", "Blocked"]
    assert found["summary"] == {"total": 2, "Unchanged": 0, "Changes": 1, "Blocked": 1, "Invalid": 0}


def test_a_header_with_a_credential_is_not_shown(site: Site) -> None:
    found = outbound(headers={"X-Telnyx-Username": Masked("0"), "X-Other": "shown"})
    site.objects = [found, INBOUND, RULE]
    (change,) = one(site, NAME)["changes"]
    (field,) = change["fields"]
    assert field == {
        "path": "outboundTrunk.headers",
        "old": {"X-Telnyx-Username": "(set)", "X-Other": "shown"},
        "new": None,
    }
