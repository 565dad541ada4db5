"""`kubectl byoc support-bundle`: what it holds, and that it holds no credential in any written form."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bundles import unpacked
from byoc_operator.cli import bundle_archive, bundle_parts, bundle_sought
from byoc_operator.cli import cluster as byoc_cluster
from byoc_operator.cli.bundle_archive import Archive
from byoc_operator.cli.bundle_mask import Scrubber, forms
from byoc_operator.cli.bundle_parts import Reader
from byoc_operator.cli.bundle_values import of_livekit, of_number, setting
from byoc_operator.cli.options import Target
from byoc_operator.cli.outside import Outside
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import Hold
from byoc_operator.core.credential_values import Field
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Masked, OutboundTrunk
from kubectl import FORBIDDEN, Cluster
from operated import MASK, NAMESPACE, PASSWORD, PHONE, SYSTEM, USER, manifest
from storage_keys import SECRETS, TEXTS, recording
from virtual_time import in_virtual_time

API_SECRET = "the-api-secret/of+livekit"
POD = "byoc-operator-1"


@pytest.fixture
def seeded(cluster: Cluster) -> tuple[Cluster, set[str]]:
    """A cluster whose log has every credential in every form, and those credentials."""
    sealed = cluster.ring.seal(PASSWORD, NAMESPACE, Field.PASSWORD)
    cluster.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    cluster.api.put_secret(SYSTEM, "livekit", {"LIVEKIT_API_KEY": "APIkey123", "LIVEKIT_API_SECRET": API_SECRET})
    reference = {"secretKeyRef": {"name": "livekit", "key": "LIVEKIT_API_SECRET"}}
    env = [{"name": "LIVEKIT_API_SECRET", "valueFrom": reference}, {"name": "OTHER", "value": "Ot4-other-value"}]
    labels = {"app.kubernetes.io/name": "byoc-operator"}
    template = {"spec": {"containers": [{"name": "operator", "env": env}]}}
    deployment = {
        "metadata": {"namespace": SYSTEM, "name": "byoc-operator", "labels": labels},
        "spec": {"template": template},
    }
    cluster.api._create("deployments", deployment)
    cluster.api._create("pods", {"metadata": {"namespace": SYSTEM, "name": POD, "labels": labels}})
    cluster.api.apply(manifest(friendlyName="Main support line"))
    hidden = {PASSWORD, USER, API_SECRET, sealed, "Ot4-other-value", *cluster.stored().text().split()}
    about = {"timestamp": "2027-01-15T08:00:01Z", "namespace": NAMESPACE, "name": "main"}
    told = [form for each in sorted(hidden - {"Ot4-other-value"}) for form in sorted(forms(each))]
    said = [*told, f"calls {PHONE} and {PHONE[1:]}, sip:%2B{PHONE[1:]}@x", "of voice/main, Main support line"]
    cluster.api.logs[SYSTEM, POD] = [json.dumps({**about, "message": each}) for each in said] + told
    cluster.api.logs[SYSTEM, f"{POD}:8080"] = ["byoc_numbers 1.0"]
    return cluster, hidden


@pytest.mark.parametrize("masks", [(), ("--mask-numbers",), ("--mask-names", "--mask-numbers")])
def test_no_credential_in_any_form(seeded: tuple[Cluster, set[str]], tmp_path: Path, masks: tuple[str, ...]) -> None:
    cluster, hidden = seeded
    path = tmp_path / "b.tar.gz"
    result = cluster.run("support-bundle", "-n", NAMESPACE, "-o", str(path), *masks)
    assert result.exit_code == 0, result.output
    assert "look at it before you send it" in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files = unpacked(path)
    everything = "".join([*files, *files.values()])
    for each in hidden:
        assert not [form for form in forms(each) if form in everything], each[:4]
    assert "fernet:g" not in everything
    assert {"numbers.yaml", "operator.yaml", "secrets.yaml", "errors.txt", "versions.yaml"} <= files.keys()
    assert f"logs/{POD}.log" in files
    assert "byoc_numbers 1.0" in files[f"metrics/{POD}.txt"]
    assert "livekit.yaml" in files["errors.txt"]
    assert (PHONE[1:] in everything) is (not masks)
    names = ("Main support line", "voice", "main")
    if "--mask-names" in masks:
        assert not [each for each in names if each in everything]
    else:
        assert all(each in everything for each in names)


@pytest.mark.parametrize("storage", SECRETS)
def test_keys_of_a_storage_are_hidden_and_common_words_of_them_are_not(
    seeded: tuple[Cluster, set[str]], tmp_path: Path, storage: str
) -> None:
    cluster, _ = seeded
    cluster.api.put_secret(NAMESPACE, "recordings", SECRETS[storage])
    cluster.api.apply(manifest("recorded", inbound=recording(storage)))
    hidden = {text for text in TEXTS if any(text in value for value in SECRETS[storage].values())}
    common = '{"type": "service_account", "token_uri": "https://oauth2.googleapis.com/token"}'
    cluster.api.logs[SYSTEM, POD] = [form for each in sorted(hidden) for form in sorted(forms(each))] + [common]
    files = in_bundle(cluster, tmp_path / "b.tar.gz", "-n", NAMESPACE)
    everything = "".join(files.values())
    for each in hidden:
        assert not [form for form in forms(each) if form in everything], each[:4]
    assert common in files[f"logs/{POD}.log"]
    assert "not sealed" in files["secrets.yaml"]


@pytest.mark.parametrize(("storage", "key"), [("s3", "AWS_SECRET_ACCESS_KEY"), ("azure", "AZURE_STORAGE_KEY")])
def test_a_key_of_a_storage_is_hidden_even_if_it_is_an_ordinary_word(
    seeded: tuple[Cluster, set[str]], tmp_path: Path, storage: str, key: str
) -> None:
    cluster, _ = seeded
    cluster.api.put_secret(NAMESPACE, "recordings", {key: "Retrying"})
    cluster.api.logs[SYSTEM, POD] = ["it says Retrying"]
    cluster.api.apply(manifest("recorded", inbound=recording(storage)))
    file = f"logs/{POD}.log"
    assert in_bundle(cluster, tmp_path / "a.tar.gz", "-n", NAMESPACE)[file] == "it says ***\n"
    cluster.api.put_secret(NAMESPACE, "recordings", {"no-key": "Retrying"})
    assert in_bundle(cluster, tmp_path / "b.tar.gz", "-n", NAMESPACE)[file] == "it says Retrying\n"


def elsewhere(namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    found = manifest(name, **changes)
    found["metadata"]["namespace"] = namespace
    return found


def test_a_namespace_with_many_secrets_hides_no_secret_of_another(
    seeded: tuple[Cluster, set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = seeded
    monkeypatch.setattr(bundle_parts, "MAX_SECRETS", 6)
    monkeypatch.setattr(bundle_sought, "MOST_OF_A_SECRET", 3)
    for each in range(9):
        name = f"many-{each}"
        cluster.api.put_secret("acme", name, {f"key-{value}": f"value-{each}-{value}" for value in range(9)})
        cluster.api.apply(elsewhere("acme", name, sipPasswordSecretRef={"name": name}))
    cluster.api.put_secret("zeta", "few", {"password": "p4ss-of-zeta"})
    cluster.api.apply(elsewhere("zeta", "few", sipPasswordSecretRef={"name": "few"}))
    cluster.api.logs[SYSTEM, POD] = [f"p4ss-of-zeta, {PASSWORD} and {API_SECRET}"]
    files = in_bundle(cluster, tmp_path / "b.tar.gz", "-A")
    assert files[f"logs/{POD}.log"] == "***, *** and ***\n"
    assert "only the first 6 are in the bundle" in files["errors.txt"]


def test_a_password_that_is_a_number_of_another_namespace_is_hidden(
    seeded: tuple[Cluster, set[str]], tmp_path: Path
) -> None:
    cluster, _ = seeded
    cluster.api.put_secret("acme", "sip", {"username": "acme-user", "password": "4930123456"})
    cluster.api.apply(elsewhere("acme", "main", phoneNumber="+4930654321"))
    cluster.api.apply(elsewhere("zeta", "main", phoneNumber="+4930123456"))
    cluster.api.put_secret(NAMESPACE, "sip", {"username": PHONE, "password": PASSWORD})
    cluster.api.logs[SYSTEM, POD] = [f"4930123456 calls {PHONE}"]
    assert in_bundle(cluster, tmp_path / "b.tar.gz", "-A")[f"logs/{POD}.log"] == f"*** calls {PHONE}\n"


def test_a_file_is_overwritten_only_with_force(seeded: tuple[Cluster, set[str]], tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_text("mine")
    args = ("support-bundle", "-o", str(path))
    assert seeded[0].run(*args).exit_code == 2
    assert path.read_text() == "mine"
    assert seeded[0].run(*args, "--force").exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["b.tar.gz"]


def test_what_may_not_be_read_is_listed(seeded: tuple[Cluster, set[str]], tmp_path: Path) -> None:
    cluster, _ = seeded
    cluster.api.without = {("get", "secrets"), ("get", "pods/log"), ("list", "byocphonenumbers")}
    path = tmp_path / "b.tar.gz"
    assert cluster.run("support-bundle", "-o", str(path)).exit_code == 0
    errors = unpacked(path)["errors.txt"]
    assert "numbers.yaml: you may not read this" in errors
    assert f"Secret {SYSTEM}/byoc-sealing-keys: you may not read this" in errors


def test_a_namespace_without_numbers_is_named(cluster: Cluster, tmp_path: Path) -> None:
    errors = in_bundle(cluster, tmp_path / "b.tar.gz", "-n", "sales")["errors.txt"]
    assert "numbers.yaml: there is no ByocPhoneNumber in the namespace sales; -A looks in all namespaces" in errors
    masked = in_bundle(cluster, tmp_path / "c.tar.gz", "-n", "sales", "--mask-names")
    assert not any("sales" in text for text in masked.values())


def test_the_users_own_url_of_livekit_is_not_missing(tmp_path: Path) -> None:
    cluster = Cluster()
    copy = {"namespace": SYSTEM, "name": "byoc-operator-installation"}
    cluster.api._create("configmaps", {"metadata": copy, "data": {"BYOC_SIP_URI": "sip.example.com"}})
    assert "LIVEKIT_URL: the settings that you may read" in in_bundle(cluster, tmp_path / "a.tar.gz")["errors.txt"]
    cluster.around["environ"] = {"LIVEKIT_URL": "wss://livekit.example.com"}
    assert "LIVEKIT_URL: " not in in_bundle(cluster, tmp_path / "b.tar.gz")["errors.txt"]


def in_bundle(cluster: Cluster, path: Path, *args: str) -> dict[str, str]:
    result = cluster.run("support-bundle", "-o", str(path), *args)
    assert result.exit_code == 0, result.output
    return unpacked(path)


def test_the_log_before_a_restart_and_how_it_ended(seeded: tuple[Cluster, set[str]], tmp_path: Path) -> None:
    cluster, _ = seeded
    pod = cluster.api._objects["pods", SYSTEM, POD]
    pod["spec"] = {"containers": [{"name": "operator"}, {"name": "mesh"}]}
    ended = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 1}
    pod["status"] = {"containerStatuses": [{"name": "mesh", **ended}]}
    cluster.api.logs[SYSTEM, f"{POD} previous"] = ["the last words"]
    file = f"logs/{POD}.previous.log"
    assert file not in in_bundle(cluster, tmp_path / "a.tar.gz"), (
        "another container's restart is none of the operator's"
    )
    pod["status"] = {"containerStatuses": [{"name": "operator", **ended}]}
    files = in_bundle(cluster, tmp_path / "b.tar.gz")
    assert files[file] == "the last words\n"
    assert "OOMKilled" in files["operator.yaml"]


@in_virtual_time
async def test_a_pod_that_hangs_hides_no_other_and_what_it_said_stays(seeded: tuple[Cluster, set[str]]) -> None:
    cluster, _ = seeded
    labels = {"app.kubernetes.io/name": "byoc-operator"}
    for name in ("byoc-operator-0", "byoc-operator-2"):
        cluster.api._create("pods", {"metadata": {"namespace": SYSTEM, "name": name, "labels": labels}})
        for each in (name, f"{name}:8080"):
            cluster.api.logs[SYSTEM, each] = [json.dumps({"message": "said", "namespace": "billing", "name": name})]
    for each in ("byoc-operator-0", "byoc-operator-0:8080"):
        cluster.api.log_faults[SYSTEM, each] = Hold(asyncio.Event())

    archive = Archive()
    target = Target(Access(), Outside(environ={}), SYSTEM)
    reading = byoc_cluster.Cluster(cluster.api, byoc_cluster.Scope(NAMESPACE), 5)
    parts = await Reader(reading, target, archive, 3600).read()
    for name in ("byoc-operator-0", "byoc-operator-2"):
        assert [len(parts.texts[f"logs/{name}.log"]), len(parts.texts[f"metrics/{name}.txt"])] == [1, 1]
    assert parts.texts[f"logs/{POD}.log"]
    assert "billing" in parts.names["namespace"], "what came has names to mask"
    over = "it had not ended when the time was over"
    cut = {
        f"logs/byoc-operator-0.log: {over}",
        *(f"{each}/byoc-operator-0.txt: {over}" for each in ("metrics", "readyz")),
    }
    assert cut == {each for each in archive.errors if over in each}
    assert "logs: it takes longer than 60 s" in archive.errors


def test_one_kind_or_namespace_that_may_not_be_read_hides_no_other(
    seeded: tuple[Cluster, set[str]], tmp_path: Path
) -> None:
    cluster, _ = seeded
    cluster.api.without = {("list", "deployments")}
    cluster.api.inject(FORBIDDEN, "GET", "events")
    files = in_bundle(cluster, tmp_path / "a.tar.gz", "-n", NAMESPACE)
    assert "kind: Pod" in files["operator.yaml"]
    assert "operator.yaml: Deployments: you may not read this" in files["errors.txt"]
    assert f"events.yaml: namespace {SYSTEM}: you may not read this" in files["errors.txt"]
    assert "events.yaml" in files


def test_a_long_file_keeps_its_end_and_a_large_bundle_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_archive, "MAX_FILE", 10)
    monkeypatch.setattr(bundle_archive, "MAX_TOTAL", 12)
    archive = Archive()
    archive.add("log", "first\nsecond\nlast\n")
    archive.add("other", "0123456789")
    assert archive.files == {"log": b"last\n"}
    assert len(archive.errors) == 2


def test_fields_that_hold_credentials() -> None:
    header: dict[str, str | Masked] = {"X-User": MASK(USER), "Authorization": "Basic eDp5"}
    trunk = OutboundTrunk("t", "secret of others", "h", "TLS", (PHONE,), MASK(USER), MASK(PASSWORD), headers=header)
    told = of_livekit(trunk)
    assert told["password"] == told["username"] == "***"
    assert told["headers"] == {"X-User": "***", "Authorization": "***"}
    assert told["metadata"] == "(16 characters)"
    number = {"metadata": {}, "spec": {"outbound": {"headers": {"X-A": "b"}}}}
    assert of_number(number)["spec"] == {"outbound": {"headers": {"X-A": "***"}}}
    assert [setting("BYOC_LEASE_NAME", "x"), setting("LIVEKIT_API_SECRET", "x"), setting("HTTPS_PROXY", "x")] == [
        *("x", "***", "***")
    ]


def test_of_an_object_of_others_free_texts_and_maps_have_a_size_only() -> None:
    rule = DispatchRule(
        *("r", ("ST_1",), "call-", "agent", "secret of others"),
        attributes={"k": "secret of others"},
        room_metadata="secret of others",
        room_tags={"secret of others": "v"},
        empty_timeout_s=30,
    )
    trunk = InboundTrunk("t", "", (PHONE,), headers_to_attributes={"X-A": "secret of others"}, realm="secret of others")
    told = of_livekit(rule)
    assert "secret of others" not in str([told, of_livekit(trunk)])
    assert [told["attributes"], told["room.metadata"]] == ["(1 entries)", "(16 characters)"]
    assert [told["name"], told["trunkIds"], told["roomPrefix"], told["agentName"]] == ["r", ["ST_1"], "call-", "agent"]
    assert told["room.emptyTimeout"] == 30


def test_a_pseudonym_is_stable_and_masks_whole_words() -> None:
    scrubber = Scrubber(numbers=True, names=True)
    scrubber.know_number(PHONE)
    scrubber.know_names("name", ["main", "main-2"])
    assert scrubber.text("main main-2 domain") == "name-1 name-2 domain"
    assert (
        scrubber.text(f"{PHONE} n19876543210 +1 (987) 654-3210 +4930123456") == "number-1 nnumber-1 number-1 number-2"
    )


@pytest.mark.parametrize("word", ["json", "yaml", "table", "wide"])
def test_a_format_is_no_name_of_a_file(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cluster.run("support-bundle", "-n", NAMESPACE, "-o", word)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"-o ./{word}" in result.stderr
