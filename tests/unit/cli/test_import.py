"""`kubectl byoc import`: what becomes a manifest, what is left and why, and that nothing else would change."""

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.grammar import DNS_LABEL, matches
from byoc_operator.api.resource import Key
from byoc_operator.cli.import_credentials import NotSaid, credentials_in
from byoc_operator.cli.import_names import Names
from byoc_operator.cli.import_proof import NAMES_AND_MARKS, imported
from byoc_operator.cli.import_sets import import_sets
from byoc_operator.core.desired import Installation
from byoc_operator.core.holders import Listed
from byoc_operator.core.outside_view import World
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import (
    SOUND,
    VIDEO,
    DispatchRule,
    InboundTrunk,
    Masked,
    OutboundTrunk,
    RoomForm,
    Selection,
    SipObject,
    UnknownFields,
)
from byoc_operator.livekit_sip.list_files import objects_in
from judged_site import Site, known
from operated import NAMESPACE, PASSWORD, PHONE, USER, manifest
from strategies import MASK, QUICK

OUT = OutboundTrunk("Main Office", "", "sip.example.com", "TCP", (PHONE,), known(USER), known(PASSWORD), id="ST_out")
IN = InboundTrunk("Main Office", "", (PHONE,), allowed_addresses=("192.0.2.0/24",), id="ST_in")
RULE = DispatchRule(
    "main", ("ST_in",), "call-", "agent_support", '{"tier": "gold", "agentId": "agent_support"}', id="SDR_1"
)
ALL: list[SipObject] = [OUT, IN, RULE]
OWNED = replace(OUT, metadata=Mark(Owner("cluster-a", NAMESPACE, "x")).dump(), numbers=("+4930123456",), id="ST_owned")


@pytest.fixture
def site() -> Site:
    found = Site()
    found.objects = list(ALL)
    return found


def manifests(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def left(site: Site, *objects: SipObject) -> str:
    site.objects = list(objects)
    result = site.ask("import", "--all")
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    told = [line for line in result.stderr.splitlines() if line.startswith("not imported:")]
    assert len(told) == len(objects), "each object is named"
    return result.stderr


def test_a_number_becomes_an_object_and_a_sealed_secret(site: Site) -> None:
    result = site.ask("import", "--all")
    number, secret = manifests(result.stdout)
    assert number["metadata"] == {
        "name": "main-office",
        "namespace": NAMESPACE,
        "annotations": {"byoc.talkifai.dev/adopt": "ST_out,ST_in,SDR_1"},
    }
    assert number["spec"] == {
        "phoneNumber": PHONE,
        "terminationUri": "sip.example.com",
        "transport": "TCP",
        "mediaEncryption": "Disabled",
        "friendlyName": "Main Office",
        "inboundAgentId": "agent_support",
        "inbound": {"allowedAddresses": ["192.0.2.0/24"], "agentMetadata": {"tier": "gold"}},
        "sipPasswordSecretRef": {"name": "main-office-sip"},
    }
    assert secret["metadata"]["labels"] == {"byoc.talkifai.dev/sip-credentials": "true"}
    assert all(text.startswith("fernet:") for text in secret["stringData"].values())
    assert result.stderr == "imported 1, left 0 objects; 0 have an owner\n"


def test_settings_of_headers_media_and_ringing_are_in_the_spec(site: Site) -> None:
    media: dict[str, Any] = {"codecs": ("PCMU", "opus/48000"), "only_listed_codecs": True, "media_timeout_s": 30}
    maps: dict[str, Any] = {
        "attributes_to_headers": {"a": "X-A"},
        "headers_to_attributes": {"X-B": "b"},
        "include_headers": "All",
    }
    answers: dict[str, Any] = {"response_headers": {"X-C": "c"}, "ringing_status": 480}
    site.objects = [replace(OUT, **media, **maps), replace(IN, **media, **maps, **answers), RULE]
    number, _ = manifests(site.ask("import", "--all").stdout)
    said = {"attributesToHeaders": {"a": "X-A"}, "headersToAttributes": {"X-B": "b"}, "includeHeaders": "All"}
    spec = number["spec"]
    assert spec["media"] == {"codecs": ["PCMU", "opus/48000"], "onlyListedCodecs": True, "mediaTimeoutSeconds": 30}
    assert said.items() <= spec["outbound"].items()
    assert (said | {"responseHeaders": {"X-C": "c"}, "ringStatus": 480}).items() <= spec["inbound"].items()


def test_the_plan_of_what_was_imported_is_names_and_marks(site: Site) -> None:
    text = site.ask("import", "--all").stdout
    plan = site.ask("plan", "-o", "json", "-f", "-", stdin=text)
    (item,) = json.loads(plan.stdout)["items"]
    paths = {field["path"] for change in item["changes"] for field in change["fields"]}
    assert paths == (NAMES_AND_MARKS - {"outboundTrunk.name", "inboundTrunk.name"}) | {"dispatchRule.agentMetadata"}


def test_other_spellings_on_the_inbound_trunk_become_aliases(site: Site) -> None:
    spellings = ["9876543210", "0119876543210", "+0019876543210", "100"]
    site.objects = [OUT, replace(IN, numbers=(PHONE, *spellings)), RULE]
    result = site.ask("import", "--all")
    number, _ = manifests(result.stdout)
    assert (number["spec"]["phoneNumber"], number["spec"]["inbound"]["aliases"]) == (PHONE, spellings)
    assert result.stderr == "imported 1, left 0 objects; 0 have an owner\n"
    plan = json.loads(site.ask("plan", "-o", "json", "-f", "-", stdin=result.stdout).stdout)
    paths = {field["path"] for change in plan["items"][0]["changes"] for field in change["fields"]}
    assert "inboundTrunk.numbers" not in paths


def test_without_keys_the_secret_is_a_stub_unless_plain_text_is_asked_for(site: Site) -> None:
    site.api.without = {("get", "secrets")}
    result = site.ask("import", "--all")
    assert "the credentials cannot be sealed" not in result.stdout
    assert "# Fill in: LiveKit's password" in result.stdout
    assert manifests(result.stdout)[1]["stringData"] == {"username": "", "password": ""}
    site.objects = [replace(OUT, password=known("a-plain-one")), IN, RULE]
    plain = site.ask("import", "--all", "--plain-secrets").stdout
    assert manifests(plain)[1]["stringData"] == {"username": USER, "password": "a-plain-one"}
    assert "# The credentials are in plain text" in plain


def test_a_server_that_lists_no_passwords_gives_a_stub(site: Site) -> None:
    site.lists_passwords = False
    result = site.ask("import", "--all", "--plain-secrets")
    assert "because LiveKit does not list the password." in result.stdout
    assert manifests(result.stdout)[1]["stringData"] == {"username": "", "password": ""}


def test_where_no_passwords_are_listed_a_stub_for_both_trunks_says_so(site: Site) -> None:
    site.lists_passwords = False
    site.objects = [OUT, replace(IN, username=OUT.username, password=OUT.password), RULE]
    said = "name that in spec.inbound.credentialsSecretRef before you apply"
    assert said in site.ask("import", "--all").stdout
    site.objects = [OUT, IN, RULE]
    assert said not in site.ask("import", "--all").stdout


OTHER: dict[str, Any] = {"username": known("carrier"), "password": known("carriers-own")}
CALLERS = {"name": "main-office-callers"}


def test_credentials_of_callers_that_differ_get_a_secret_of_their_own(site: Site) -> None:
    site.objects = [OUT, replace(IN, **OTHER), RULE]
    result = site.ask("import", "--all")
    number, outbound, inbound = manifests(result.stdout)
    assert number["spec"]["sipPasswordSecretRef"] == {"name": "main-office-sip"}
    told = number["spec"]["inbound"]
    assert (told["authentication"], told["credentialsSecretRef"]) == ("Digest", CALLERS)
    assert [each["metadata"]["name"] for each in (outbound, inbound)] == ["main-office-sip", CALLERS["name"]]
    assert inbound["metadata"]["labels"] == {"byoc.talkifai.dev/sip-credentials": "true"}
    assert all(
        text.startswith("fernet:") for text in (*outbound["stringData"].values(), *inbound["stringData"].values())
    )
    plan = json.loads(site.ask("plan", "-o", "json", "-f", "-", stdin=result.stdout).stdout)
    paths = {field["path"] for change in plan["items"][0]["changes"] for field in change["fields"]}
    assert paths <= NAMES_AND_MARKS | {"dispatchRule.agentMetadata"}


def test_the_same_credentials_in_both_directions_are_one_secret(site: Site) -> None:
    site.objects = [OUT, replace(IN, username=OUT.username, password=OUT.password), RULE]
    number, *secrets = manifests(site.ask("import", "--all").stdout)
    assert (number["spec"]["inbound"]["authentication"], len(secrets)) == ("Digest", 1)
    assert "credentialsSecretRef" not in number["spec"]["inbound"]


def test_callers_with_credentials_at_a_carrier_that_asks_for_none(site: Site) -> None:
    site.objects = [replace(OUT, username=None, password=None), replace(IN, **OTHER), RULE]
    number, secret = manifests(site.ask("import", "--all").stdout)
    assert "sipPasswordSecretRef" not in number["spec"]
    assert number["spec"]["inbound"]["credentialsSecretRef"] == CALLERS
    assert secret["metadata"]["name"] == CALLERS["name"]


def test_without_keys_each_stub_names_its_own_trunk(site: Site) -> None:
    site.api.without = {("get", "secrets")}
    site.objects = [replace(OUT, password=known("a-plain-one")), replace(IN, **OTHER), RULE]
    text = site.ask("import", "--all").stdout
    outbound, inbound = text.split("---\n")[-2:]
    assert "leaves the outbound trunk as it is" in outbound
    assert "leaves the inbound trunk as it is" in inbound
    assert "`kubectl byoc seal main-office-callers -n voice`" in inbound
    plain = manifests(site.ask("import", "--all", "--plain-secrets").stdout)
    assert plain[2]["stringData"] == {"username": "carrier", "password": "carriers-own"}


def test_a_server_without_passwords_gives_a_stub_for_each_user_name(site: Site) -> None:
    site.lists_passwords = False
    site.objects = [OUT, replace(IN, **OTHER), RULE]
    number, outbound, inbound = manifests(site.ask("import", "--all").stdout)
    assert outbound["stringData"] == inbound["stringData"] == {"username": "", "password": ""}
    assert number["spec"]["inbound"]["credentialsSecretRef"] == CALLERS


def test_a_number_without_calls_in_and_without_credentials(site: Site) -> None:
    site.objects = [replace(OUT, username=None, password=None, name=PHONE)]
    (number,) = manifests(site.ask("import", "--number", PHONE).stdout)
    assert number["metadata"]["name"] == "number-19876543210"
    assert set(number["spec"]) == {"phoneNumber", "terminationUri", "transport", "mediaEncryption"}


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([replace(OUT, numbers=(PHONE, "+4930123456")), IN, RULE], "carries several numbers"),
        ([replace(OUT, numbers=())], "carries no number"),
        ([replace(OUT, numbers=(PHONE, "100")), IN, RULE], "carries several numbers"),
        ([IN, RULE], "spec.terminationUri is not known"),
        ([OUT, IN], "no dispatch rule names ST_in"),
        ([OUT, replace(OUT, id="ST_2")], "several outbound trunks carry its number: ST_out, ST_2"),
        ([OUT, IN, replace(IN, id="ST_2"), RULE], "several inbound trunks carry its number"),
        ([OUT, IN, RULE, replace(RULE, id="SDR_2")], "several dispatch rules name ST_in"),
        ([OUT, IN, replace(RULE, trunk_ids=("ST_in", "ST_2"))], "several trunks"),
        ([OUT, IN, replace(RULE, trunk_ids=())], "takes the calls of every trunk"),
        ([OUT, IN, replace(RULE, selection=Selection(RoomForm.DIRECT, "x"))], "puts all calls into one room"),
        ([OUT, IN, replace(RULE, selection=Selection(RoomForm.CALLEE))], "names rooms after the called number"),
        ([OUT, IN, replace(RULE, selection=Selection(RoomForm.UNKNOWN))], "in a way that is not known"),
        ([OUT, IN, replace(RULE, selection=Selection(pin=Masked("1")))], "asks for a PIN"),
        ([OUT, IN, replace(RULE, selection=Selection(callers=("+1",)))], "for some callers or called numbers only"),
        ([OUT, IN, replace(RULE, room_prefix="room ")], "spec.inbound.room.prefix must not have control characters"),
        ([OUT, IN, replace(RULE, extra=("room_config",))], "would erase fields that st"),
        ([OUT, IN, replace(RULE, agent_name="")], "names no agent"),
        ([OUT, IN, replace(RULE, agent_metadata="plain text")], "is no JSON object of texts"),
        ([OUT, IN, replace(RULE, agent_metadata='{"name": "me"}')], "dispatchRule.agentMetadata"),
        ([OUT, IN, replace(RULE, extra=("room_config",))], "would erase fields"),
        ([replace(OUT, extra=("include_headers",)), IN, RULE], "would erase fields"),
        ([replace(OUT, transport="AUTO"), IN, RULE], "is AUTO"),
        ([replace(OUT, password=None), IN, RULE], "a user name without a password"),
        ([replace(OUT, username=None), IN, RULE], "a password without a user name"),
        ([replace(OUT, username=known("a:b")), IN, RULE], "cannot stand in a Secret"),
        ([OUT, replace(IN, username=known("x")), RULE], "its inbound trunk has a user name without a password"),
        ([OUT, replace(IN, password=known("x")), RULE], "its inbound trunk has a password without a user name"),
        (
            [OUT, replace(IN, username=known('"'), password=known("x")), RULE],
            "the user name of its inbound trunk cannot",
        ),
        ([replace(OUT, headers={"X-Telnyx-Username": MASK.bare("x")}), IN, RULE], "X-Telnyx-Username"),
        ([replace(OUT, address="sip:bad"), IN, RULE], "spec.terminationUri must"),
        ([OUT, replace(IN, allowed_addresses=("192.0.2.1",)), RULE], "inboundTrunk.allowedAddresses"),
        ([OUT, replace(IN, media_encryption="Required"), RULE], "inboundTrunk.mediaEncryption: Required → Disabled"),
        ([replace(OUT, numbers=("1 (987) 654-3210",))], "outboundTrunk.numbers"),
        ([replace(RULE, trunk_ids=("ST_gone",))], "its trunk ST_gone is not in LiveKit"),
    ],
)
def test_what_does_not_fit_is_listed_with_the_reason(site: Site, objects: list[SipObject], why: str) -> None:
    assert why in left(site, *objects)


@pytest.mark.parametrize(
    "numbers",
    [
        ("100", PHONE),
        (PHONE, "4930123456"),
        (PHONE, "0100", "+0100"),
        (PHONE, "sales"),
        (PHONE, *map(str, range(100, 117))),
    ],
)
def test_numbers_that_cannot_be_aliases_of_the_first_leave_the_inbound_trunk(
    site: Site, numbers: tuple[str, ...]
) -> None:
    site.objects = [OUT, replace(IN, numbers=numbers), RULE]
    result = site.ask("import", "--all")
    assert "inbound trunk ST_in (Main Office): it carries several numbers" in result.stderr
    assert "ST_in" not in result.stdout


def test_what_has_an_owner_is_left_alone(site: Site) -> None:
    rule = replace(RULE, trunk_ids=("ST_owned",), id="SDR_2")
    site.objects = [*ALL, OWNED, rule]
    result = site.ask("import", "--all")
    assert "its trunk ST_owned belongs to somebody" in result.stderr
    assert result.stderr.endswith("imported 1, left 1 objects; 1 have an owner\n")


def test_a_number_that_an_object_names_is_left(site: Site) -> None:
    site.api.apply(manifest("main-office"))
    assert "ByocPhoneNumber voice/main-office has its number already" in left(site, *ALL)


def test_carriers_whose_preset_would_change_something(site: Site) -> None:
    site.objects = [replace(OUT, address="sip.telnyx.com"), replace(IN, allowed_addresses=()), RULE]
    number = manifests(site.ask("import", "--all").stdout)[0]
    assert (number["spec"]["carrier"], "allowAnyAddress" in number["spec"]["inbound"]) == ("Generic", False)
    site.objects = [replace(OUT, address="x.pstn.twilio.com"), replace(IN, allowed_addresses=()), RULE]
    number = manifests(site.ask("import", "--all").stdout)[0]
    assert ("carrier" not in number["spec"], number["spec"]["inbound"]["allowAnyAddress"]) == (True, True)


def test_files_have_safe_names_and_are_not_overwritten(site: Site, tmp_path: Path) -> None:
    site.objects = [replace(OUT, name="../../etc/Passwd ☎\x1b[31m"), IN, RULE]
    folder = tmp_path / "deep" / "numbers"
    assert site.ask("import", "--all", "-o", str(folder)).exit_code == 0
    (path,) = folder.iterdir()
    assert path.name == "etc-passwd-31m.yaml"
    assert "☎" not in path.read_text()
    kept = path.read_text()
    again = site.ask("import", "--all", "-o", str(folder))
    assert (again.exit_code, "etc-passwd-31m.yaml already; --force overwrites" in again.stderr) == (2, True)
    assert path.read_text() == kept
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    path.unlink()
    path.symlink_to(elsewhere)
    assert site.ask("import", "--all", "-o", str(folder)).exit_code == 2
    assert site.ask("import", "--all", "-o", str(folder), "--force").exit_code == 0
    assert (path.is_symlink(), elsewhere.read_text()) == (False, "mine")
    assert [each.name for each in folder.iterdir()] == [path.name], "nothing is left beside it"
    assert site.ask("import", "--all", "-o", str(elsewhere)).exit_code == 2


def test_a_file_with_plain_text_is_its_owners(site: Site, tmp_path: Path) -> None:
    site.api.without = {("get", "secrets")}
    site.objects = [replace(OUT, password=known("a-plain-one"))]
    site.ask("import", "--all", "--plain-secrets", "-o", str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


LISTS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "out.json": {
        "items": [
            {
                "sipTrunkId": "ST_out",
                "name": "Office",
                "address": "sip.example.com",
                "transport": "SIP_TRANSPORT_TCP",
                "numbers": [PHONE],
                "authUsername": USER,
                "authPassword": PASSWORD,
            }
        ]
    },
    "in.json": {"items": [{"sipTrunkId": "ST_in", "numbers": [PHONE], "ringingTimeout": "30s"}]},
    "rules.json": {
        "items": [
            {
                "sipDispatchRuleId": "SDR_1",
                "rule": {"dispatchRuleIndividual": {"roomPrefix": "call-"}},
                "trunkIds": ["ST_in"],
                "roomConfig": {"agents": [{"agentName": "agent_support"}]},
            }
        ]
    },
}


def test_lists_in_files_are_read_without_livekit(site: Site, tmp_path: Path) -> None:
    site.environ = {}
    args = []
    for name, content in LISTS.items():
        (tmp_path / name).write_text(json.dumps(content))
        args += ["--from-files", str(tmp_path / name)]
    result = site.ask("import", "--all", *args)
    number, secret = manifests(result.stdout)
    assert number["spec"]["inbound"] == {"ringTimeoutSeconds": 30}
    assert secret["stringData"]["password"].startswith("fernet:")


def test_a_field_that_nobody_knows_is_not_lost(site: Site, tmp_path: Path) -> None:
    item = {**LISTS["out.json"]["items"][0], "fieldOfTomorrow": 1}
    (tmp_path / "out.json").write_text(json.dumps({"items": [item]}))
    result = site.ask("import", "--all", "--from-files", str(tmp_path / "out.json"))
    assert (result.stdout, "would erase fields" in result.stderr) == ("", True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it is no JSON"),
        ('"x"', "it is no list"),
        ('{"items": [1]}', "it is no list"),
        ('{"items": [{}]}', "has no ID"),
        ('{"items": [{"sipTrunkId": 7}]}', "fields of another type"),
        ('{"items": [{"sipTrunkId": "ST_1"}, {"sipTrunkId": "ST_1", "name": "x"}]}', "twice, with different fields"),
    ],
)
def test_files_that_are_wrong_are_one_line(site: Site, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "x.json").write_text(content)
    result = site.ask("import", "--all", "--from-files", str(tmp_path / "x.json"))
    assert (result.exit_code, words in result.stderr, len(result.stderr.splitlines())) == (2, True, 1)


def test_bare_lists_are_read_too() -> None:
    assert objects_in([("x", b'[{"sip_trunk_id": "ST_1", "numbers": ["+1"]}]')], MASK)[0].id == "ST_1"


@pytest.mark.parametrize(("args", "code"), [((), 2), (("--all", "--number", PHONE), 2), (("--number", "x"), 2)])
def test_which_numbers_has_to_be_said(site: Site, args: tuple[str, ...], code: int) -> None:
    assert site.ask("import", *args).exit_code == code


def test_a_number_that_is_not_there_fails(site: Site) -> None:
    result = site.ask("import", "--number", "+4930123456")
    assert (result.exit_code, "nothing without an owner for +4930123456" in result.stderr) == (1, True)


def test_without_an_operator_the_defaults_are_assumed(site: Site) -> None:
    site.api._remove(("deployments", "byoc-system", "operator"))
    site.environ["LIVEKIT_URL"] = "wss://livekit.example.com"
    result = site.ask("import", "--all")
    assert (result.exit_code, "the defaults are assumed" in result.stderr) == (0, True)
    assert manifests(result.stdout)[0]["kind"] == "ByocPhoneNumber"


def test_settings_without_a_url_are_completed_by_the_environment() -> None:
    site = Site(LIVEKIT_URL="", BYOC_ROOM_PREFIX="room-")
    site.objects = [OUT, IN, replace(RULE, room_prefix="room-")]
    site.environ["LIVEKIT_URL"] = "wss://livekit.example.com"
    result = site.ask("import", "--all")
    assert (result.exit_code, "imported 1, left 0" in result.stderr) == (0, True), result.stderr
    assert site.ask("plan", "-f", "-", stdin=result.stdout).exit_code == 6


CALL = ("additionalAgentIds", "attributes", "hideCallerNumber", "room", "recording")


def test_what_a_rule_says_of_caller_and_room_stands_in_the_spec(site: Site) -> None:
    rule = replace(
        RULE,
        room_prefix="",
        additional_agents=("agent_notes",),
        attributes={"queue": "support"},
        hide_caller_number=True,
        empty_timeout_s=30,
        departure_timeout_s=5,
        max_participants=3,
        room_metadata="{}",
        room_tags={"team": "support"},
        recording=SOUND,
        recording_path="calls/",
    )
    site.objects = [OUT, IN, rule]
    inbound = manifests(site.ask("import", "--all").stdout)[0]["spec"]["inbound"]
    assert {name: inbound[name] for name in CALL} == {
        "additionalAgentIds": ["agent_notes"],
        "attributes": {"queue": "support"},
        "hideCallerNumber": True,
        "room": {
            "emptyTimeoutSeconds": 30,
            "departureTimeoutSeconds": 5,
            "maxParticipants": 3,
            "metadata": "{}",
            "tags": {"team": "support"},
            "prefix": "",
        },
        "recording": {"audioOnly": True, "path": "calls/"},
    }


def test_the_agent_of_all_numbers(site: Site) -> None:
    site = Site(BYOC_AGENT_NAME="router")
    site.objects = [OUT, IN, replace(RULE, agent_name="router")]
    assert manifests(site.ask("import", "--all").stdout)[0]["spec"]["inboundAgentId"] == "agent_support"


def test_fields_that_stay_are_no_reason_to_leave_a_number() -> None:
    site = Site(BYOC_UNKNOWN_FIELDS="Keep")
    site.objects = [OUT, IN, replace(RULE, extra=("room_preset",), unknown=UnknownFields(("room_preset",)))]
    result = site.ask("import", "--all")
    assert "imported 1, left 0" in result.stderr
    assert site.ask("plan", "-f", "-", stdin=result.stdout).exit_code == 6


@given(st.lists(st.tuples(st.text(max_size=80), st.sampled_from([PHONE, "+4930123456"])), max_size=8))
@QUICK
def test_names_are_labels_and_never_twice(asked: list[tuple[str, str]]) -> None:
    names = Names(["office"])
    made = [names.of(trunk, number) for trunk, number in asked]
    made += [names.secret_for(name) for name in made]
    assert len({*made, "office"}) == len(made) + 1
    assert all(len(each) <= 253 and matches(DNS_LABEL, each) for each in made)


@pytest.mark.parametrize(
    "id_", ["ST_x\n---\nkind: Evil\n#", "ST_x\x1b[2J", "ST_out,ST_theirs", "force", "ST_x\u2028", "S" * 65]
)
@pytest.mark.parametrize("of", [OUT, IN])
def test_an_id_that_would_say_something_else_in_a_manifest_is_not_imported(site: Site, of: SipObject, id_: str) -> None:
    rule = replace(RULE, trunk_ids=(id_,)) if of is IN else RULE
    site.objects = [*(each for each in (OUT, IN) if each is not of), replace(of, id=id_), rule]
    result = site.ask("import", "--all")
    assert (result.stdout, "the ID of one of its objects" in result.stderr) == ("", True)
    assert set(result.output) <= set(map(chr, range(32, 127))) | {"\n", "…"}


def steps(run: Callable[[], object]) -> int:
    """How many lines of Python a call runs."""
    count = 0

    def trace(_frame: object, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize("number", ["+1{:010}", "no digits"])
def test_a_name_costs_the_same_whatever_how_many_trunks_have_it(number: str) -> None:
    def named(count: int) -> Callable[[], object]:
        names = Names(())
        return lambda: [names.secret_for(names.of("Office", number.format(each))) for each in range(count)]

    assert steps(named(2000)) < 25 * steps(named(100))


PHONES = (PHONE, "+4930123456", "+15550100000")
_numbers = st.sampled_from([(PHONES[0],), (PHONES[1],), (PHONES[2],), (PHONES[0], PHONES[1]), ()])
_metadata = st.sampled_from(["", "theirs", Mark(Owner("cluster-a", NAMESPACE, "x")).dump()])
_login = st.sampled_from([None, MASK("user"), MASK("other")])
_outs = st.builds(
    OutboundTrunk,
    name=st.sampled_from(["", "Office", "x" * 200]),
    metadata=_metadata,
    address=st.sampled_from(["sip.example.com", "sip.telnyx.com", "a.pstn.twilio.com", "sip:bad"]),
    transport=st.sampled_from(["TLS", "TCP", "UDP", "AUTO"]),
    numbers=_numbers,
    username=_login,
    password=_login,
    headers=st.sampled_from([{}, {"X-A": "b"}, {"X-Telnyx-Username": MASK("user")}, {"To": "x"}]),
    media_encryption=st.sampled_from(["Disabled", "Allowed", "Required"]),
    from_host=st.sampled_from(["", "voice.example.com", "2001:db8::1"]),
    destination_country=st.sampled_from(["", "US", "Mars"]),
    codecs=st.sampled_from([(), ("PCMU",), ("no codec",)]),
    attributes_to_headers=st.sampled_from([{}, {"a": "X-A"}, {"a": "Via"}]),
    extra=st.sampled_from([(), (), ("include_headers",)]),
    password_listed=st.booleans(),
)
_ins = st.builds(
    InboundTrunk,
    name=st.sampled_from(["", "Office"]),
    metadata=_metadata,
    numbers=_numbers,
    allowed_addresses=st.sampled_from([(), ("192.0.2.0/24",), ("192.0.2.1",), ("0.0.0.0/0",), ("host",)]),
    allowed_numbers=st.sampled_from([(), ("+15551230000",), ("any",)]),
    username=_login,
    password=_login,
    ringing_timeout_s=st.sampled_from([0, 60, 9999]),
    noise_cancellation=st.booleans(),
    media_encryption=st.sampled_from(["Disabled", "Allowed", "Required"]),
    headers_to_attributes=st.sampled_from([{}, {"X-A": "a"}]),
    codecs=st.sampled_from([(), ("PCMU",)]),
    realm=st.sampled_from(["", "sip.example.com"]),
    ringing_status=st.sampled_from([0, 480, 200]),
)
_rules = st.builds(
    DispatchRule,
    name=st.sampled_from(["", "rule", "byoc:cluster-a/voice/x"]),
    trunk_ids=st.sampled_from([("ST_I0",), ("ST_I1",), ("ST_I0", "ST_I1"), (), ("ST_gone",)]),
    room_prefix=st.sampled_from(["call-", "call-", "room-"]),
    agent_name=st.sampled_from(["agent", "agent", ""]),
    agent_metadata=st.sampled_from(["", '{"agentId":"agent","a":"b"}', "text", '{"agentId":"other"}', '{"a":1}']),
    additional_agents=st.sampled_from([(), ("other",), ("agent",), ("other", "other")]),
    attributes=st.sampled_from([{}, {"a": "b"}, {"sip.a": "b"}]),
    hide_caller_number=st.booleans(),
    empty_timeout_s=st.sampled_from([0, 30, 99_999]),
    room_metadata=st.sampled_from(["", "{}", "a\nb"]),
    room_tags=st.sampled_from([{}, {"a": "b"}]),
    recording=st.sampled_from([SOUND, VIDEO]),
    recording_storage=st.sampled_from([{}, {"type": "s3", "bucket": "calls"}, {"type": "gcs", "bucket": "a/b"}]),
    recording_access_key=st.sampled_from([None, MASK("AKIA"), MASK("a key")]),
    recording_secret=st.sampled_from([None, MASK("storage-key")]),
    password_listed=st.booleans(),
    selection=st.sampled_from([Selection(), Selection(), Selection(RoomForm.DIRECT, "x")]),
)


@given(st.lists(_outs, max_size=4), st.lists(_ins, max_size=3), st.lists(_rules, max_size=3))
@QUICK
def test_every_object_is_imported_with_an_empty_plan_or_listed(
    outs: list[OutboundTrunk], ins: list[InboundTrunk], rules: list[DispatchRule]
) -> None:
    objects: list[SipObject] = [
        *(replace(each, id=f"ST_O{index}") for index, each in enumerate(outs)),
        *(replace(each, id=f"ST_I{index}") for index, each in enumerate(ins)),
        *(replace(each, id=f"SDR_{index}") for index, each in enumerate(rules)),
    ]
    found = import_sets(objects)
    world = World(Snapshot.holding(objects), Listed.of(()), Installation(("cluster-a",), "livekit"), MASK)
    seen, reasons = [each.found.id for each in found.left], [each.why for each in found.left]
    for index, each in enumerate(found.sets):
        seen += [one.id for one in each.objects]
        try:
            secrets = {path: path.lower() for path in credentials_in(each)}
            made = imported(each, Key(NAMESPACE, f"n{index}"), secrets, world)
        except NotSaid as exc:
            reasons.append(str(exc))
            continue
        paths = {field.path for change in made.plan.changes for field in change.fields}
        assert paths <= NAMES_AND_MARKS | {"dispatchRule.agentMetadata"}
        assert made.plan.verdict is None
    assert all(reasons)
    assert len(seen) == len(set(seen)) == len(objects) - found.owned, "each once, none lost"
