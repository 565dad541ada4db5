"""`kubectl byoc` on a cluster in memory: what it prints, what it writes, with which code it ends."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from byoc_operator.api.names import PLURAL
from byoc_operator.cli.key_uses import LONG_AGO_S, SETTLED_S
from byoc_operator.cli.kubectl_byoc import Outside, kubectl_byoc
from byoc_operator.cluster.api import ApiRefused
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.core.credentials import KEYS_SECRET, LAST_APPLIED, SEALED_PREFIX, Field, field_of
from byoc_operator.sealing.freshness import STALE_S
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, keys_in
from operated import NAMESPACE, PASSWORD, SYSTEM, USER, manifest

FORBIDDEN = ApiRefused("KubernetesRefused", "GET secrets: 403: you may not", status=403)
CONFLICT = ApiRefused("KubernetesRefused", "PATCH secrets: 409", status=409)
INPUT = f"{USER}\n{PASSWORD}\n"


class Cluster:
    """A cluster in memory with sealing keys, and the command line on it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.api = FakeApi(lambda: self.now)
        self.ring = KeyRing.generate()
        self.waited: list[float] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.put(self.ring)

    def put(self, ring: KeyRing) -> None:
        self.api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: ring.text()}, watched=False)

    def run(self, *args: str, stdin: str | bytes = "") -> Result:
        async def connect(kubeconfig: str | None, context: str | None) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
            return self.api, "from-context"

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            self.now += seconds
            self.meanwhile()

        outside = Outside(connect, lambda: self.now, sleep)
        result = CliRunner().invoke(kubectl_byoc, args, input=stdin, obj=outside)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert PASSWORD not in result.output
        assert not any(key in result.output for key in self.stored().text().split())
        return result

    def stored(self) -> KeyRing:
        return keys_in(self.api._objects["secrets", SYSTEM, KEYS_SECRET])

    def keys_written(self, *ago_s: float) -> None:
        """The keys were last written so many seconds ago, by one writer each."""
        times = [datetime.fromtimestamp(self.now - each, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in ago_s]
        fields = [{"manager": "m", "operation": "Update", "time": each} for each in times]
        self.api._objects["secrets", SYSTEM, KEYS_SECRET]["metadata"]["managedFields"] = fields

    def sealed_secret(self, name: str, ring: KeyRing | None = None, *, watched: bool = True) -> None:
        sealing = ring or self.ring
        values = {key: sealing.seal(text, NAMESPACE, field_of(key)) for key, text in CREDENTIALS.items()}
        self.api.put_secret(NAMESPACE, name, values, watched=watched)

    def value(self, name: str, key: str = "password") -> str:
        data = self.api._objects["secrets", NAMESPACE, name]["data"]
        return base64.b64decode(data[key]).decode()


CREDENTIALS = {"username": USER, "password": PASSWORD}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


# seal


def test_a_sealed_manifest_is_printed_ready_to_apply(cluster: Cluster) -> None:
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert (result.exit_code, result.stderr) == (0, "")
    secret = yaml.safe_load(result.stdout)
    assert secret["metadata"] == {
        "name": "sip",
        "namespace": NAMESPACE,
        "labels": {"byoc.talkifai.dev/sip-credentials": "true"},
    }
    opened = {key: cluster.ring.open(text, NAMESPACE, field_of(key)) for key, text in secret["stringData"].items()}
    assert opened == CREDENTIALS
    assert cluster.api.writes == []


def test_without_a_namespace_it_is_sealed_for_that_of_the_context(cluster: Cluster) -> None:
    secret = yaml.safe_load(cluster.run("seal", "sip", stdin=INPUT).stdout)
    assert secret["metadata"]["namespace"] == "from-context"
    assert cluster.ring.open(secret["stringData"]["password"], "from-context", Field.PASSWORD) == PASSWORD


def test_a_password_alone_under_a_key_of_ones_own(cluster: Cluster) -> None:
    result = cluster.run("seal", "sip", "-n", NAMESPACE, "--no-username", "--key", "pw", stdin=f"{PASSWORD}\r\n")
    values = yaml.safe_load(result.stdout)["stringData"]
    assert {key: cluster.ring.open(text, NAMESPACE, field_of(key)) for key, text in values.items()} == {"pw": PASSWORD}


@pytest.mark.parametrize(
    ("args", "stdin", "words"),
    [
        ((), "", "lines on standard input: 0"),
        ((), f"{PASSWORD}\n", "lines on standard input: 1"),
        ((), f"{USER}\n{PASSWORD}\n\n", "lines on standard input: 3"),
        (("--no-username",), INPUT, "lines on standard input: 2"),
        ((), f"{USER}\n {PASSWORD}\n", "password: the value starts or ends with a blank"),
        ((), f"a:b\n{PASSWORD}\n", "username: a user name must not"),
        ((), f"{USER}\n{'x' * 257}\n", "longer than 256"),
        ((), f"{USER}\n{SEALED_PREFIX}{PASSWORD}\n", "sealed already"),
        ((), b"\xff\xfe", "not UTF-8"),
        ((), f"{USER}\n\ufeff{PASSWORD}\n", "password: the value starts with a byte order mark"),
        (("--key", "username"), INPUT, "name another key"),
        (("--key", "p/w"), INPUT, "--key: a key of a Secret"),
        (("-n", "A_Bad"), INPUT, "-n: the name of a namespace"),
        (("-n", "x/secrets?"), INPUT, "-n: the name of a namespace"),
        (("-n", "a" * 64), INPUT, "63 at most"),
        (("--operator-namespace", "../x"), INPUT, "--operator-namespace: the name of a namespace"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_printed(
    cluster: Cluster, args: tuple[str, ...], stdin: str | bytes, words: str
) -> None:
    result = cluster.run("seal", "sip", *args, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


@pytest.mark.parametrize("name", ["A_Bad", "a/b", "", "-a", "a" * 254, "\udcc3"])
def test_a_name_that_kubernetes_does_not_take_is_refused(cluster: Cluster, name: str) -> None:
    result = cluster.run("seal", "--", name, stdin=INPUT)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "NAME: the name of a Secret" in result.stderr


def test_a_byte_order_mark_is_no_part_of_the_user_name(cluster: Cluster) -> None:
    secret = yaml.safe_load(cluster.run("seal", "sip", "-n", NAMESPACE, stdin=f"\ufeff{INPUT}").stdout)
    assert cluster.ring.open(secret["stringData"]["username"], NAMESPACE, Field.USERNAME) == USER


def test_a_password_as_argument_is_refused(cluster: Cluster) -> None:
    assert cluster.run("seal", "sip", "an-argument", stdin=INPUT).exit_code == 2
    assert cluster.run("seal", "sip", "--password", "an-argument", stdin=INPUT).exit_code == 2


def test_where_there_are_no_keys_that_is_said(cluster: Cluster) -> None:
    result = cluster.run("seal", "sip", "--operator-namespace", "elsewhere", stdin=INPUT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no Secret elsewhere/byoc-sealing-keys" in result.stderr


# seal without the right to read the keys


def webhook(ring: KeyRing, *keys: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What an admission webhook that seals these keys answers."""

    def admitting(secret: dict[str, Any]) -> dict[str, Any]:
        sealed = {
            key: ring.seal(text, secret["metadata"]["namespace"], field_of(key)) if key in keys else text
            for key, text in secret.pop("stringData").items()
        }
        data = {key: base64.b64encode(text.encode()).decode() for key, text in sealed.items()}
        return {**secret, "data": data}

    return admitting


def test_who_may_not_read_the_keys_has_the_cluster_seal(cluster: Cluster) -> None:
    cluster.api.inject(Fail(FORBIDDEN), "GET", "secrets")
    cluster.api.admitting = webhook(cluster.ring, "username", "password")
    cluster.sealed_secret("sip")  # there already, and no hindrance
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert result.exit_code == 0
    secret = yaml.safe_load(result.stdout)
    assert secret["metadata"]["name"] == "sip"
    assert cluster.ring.open(secret["stringData"]["password"], NAMESPACE, Field.PASSWORD) == PASSWORD
    assert [each.path.partition("?")[2] for each in cluster.api.writes] == ["dryRun=All"]


@pytest.mark.parametrize("keys", [(), ("username",), ("password",)])
def test_nothing_is_printed_unless_every_value_came_back_sealed(cluster: Cluster, keys: tuple[str, ...]) -> None:
    cluster.api.inject(Fail(FORBIDDEN), "GET", "secrets")
    cluster.api.admitting = webhook(cluster.ring, *keys)
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "not every value came back sealed" in result.stderr


def test_who_may_neither_read_keys_nor_create_secrets_gets_nothing(cluster: Cluster) -> None:
    cluster.api.inject(Fail(FORBIDDEN), "GET", "secrets")
    cluster.api.inject(Fail(FORBIDDEN), "POST", "secrets")
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert (result.exit_code, result.stdout) == (3, "")


# keys


def test_rotate_puts_a_new_key_first_and_keeps_the_others(cluster: Cluster) -> None:
    result = cluster.run("keys", "rotate")
    assert (result.exit_code, result.stdout) == (0, "")
    assert cluster.stored().fingerprints()[1:] == cluster.ring.fingerprints()
    assert cluster.stored().fingerprints()[0] in result.stderr


def test_a_rotation_beside_another_one_loses_no_key(cluster: Cluster) -> None:
    cluster.api.inject(Fail(CONFLICT, applied=False), "PATCH", "secrets")
    assert cluster.run("keys", "rotate").exit_code == 0
    assert len(cluster.stored().fingerprints()) == 2
    patches = [each.body["metadata"] for each in cluster.api.writes]
    assert all({"uid", "resourceVersion"} < set(each) for each in patches)
    assert all(each["annotations"] == {LAST_APPLIED: None} for each in patches), "no copy of a key outlives it"
    for _ in range(5):
        cluster.api.inject(Fail(CONFLICT), "PATCH", "secrets")
    assert cluster.run("keys", "rotate").exit_code == 1
    assert len(cluster.stored().fingerprints()) == 2


def test_list_shows_fingerprints_and_who_needs_an_older_key(cluster: Cluster) -> None:
    cluster.sealed_secret("old-one")
    cluster.sealed_secret("lost", KeyRing.generate())
    cluster.api.put_secret(NAMESPACE, "plain", CREDENTIALS)
    rotated = cluster.ring.rotated()
    cluster.put(rotated)
    cluster.sealed_secret("new-one", rotated)
    result = cluster.run("keys", "list")
    rows = {row.split()[0]: row.split()[-1] for row in result.stdout.splitlines()[1:]}
    assert rows == {rotated.fingerprints()[0]: "1", rotated.fingerprints()[1]: "1", "none": "1"}
    assert f"older key {rotated.fingerprints()[1]}: {NAMESPACE}/old-one" in result.stderr
    assert f"no key opens, or sealed for another use: {NAMESPACE}/lost" in result.stderr


def test_reseal_and_retire_after_a_rotation(cluster: Cluster) -> None:
    cluster.sealed_secret("labelled")
    cluster.sealed_secret("named", watched=False)
    cluster.api.apply(manifest(sipPasswordSecretRef={"name": "named", "key": "password"}))
    cluster.run("keys", "rotate")
    refused = cluster.run("keys", "retire")
    assert refused.exit_code == 4
    assert f"{NAMESPACE}/labelled, {NAMESPACE}/named" in refused.stderr
    assert len(cluster.stored().fingerprints()) == 2
    resealed = cluster.run("keys", "reseal")
    assert (resealed.exit_code, resealed.stdout.split()) == (0, [f"{NAMESPACE}/labelled", f"{NAMESPACE}/named"])
    for name in ("labelled", "named"):
        assert cluster.stored().opened_by(cluster.value(name)) == cluster.stored().fingerprints()[0]
        assert cluster.stored().open(cluster.value(name, "username"), NAMESPACE, Field.USERNAME) == USER
    assert cluster.run("keys", "reseal").stdout == ""
    assert cluster.run("keys", "retire").exit_code == 0
    assert len(cluster.stored().fingerprints()) == 1
    assert cluster.stored().open(cluster.value("named"), NAMESPACE, Field.PASSWORD) == PASSWORD


def test_retire_right_after_a_rotation_waits_for_what_is_still_being_stored(cluster: Cluster) -> None:
    """A replica of the operator that has not yet seen the new key seals with the one before."""
    cluster.run("keys", "rotate")
    cluster.keys_written(9_000, 1)
    cluster.meanwhile = lambda: cluster.sealed_secret("late")
    refused = cluster.run("keys", "retire")
    assert (refused.exit_code, cluster.waited) == (4, [SETTLED_S])
    assert f"waiting {SETTLED_S:.0f} s" in refused.stderr
    assert f"{NAMESPACE}/late" in refused.stderr
    assert len(cluster.stored().fingerprints()) == 2


@pytest.mark.parametrize(
    ("ago_s", "waits"),
    [
        ((LONG_AGO_S + 2,), False),
        ((9_000, LONG_AGO_S + 2), False),
        ((LONG_AGO_S - 2, 9_000), True),
        ((-300,), True),  # their clock is ahead of ours
        ((), True),  # nobody knows
    ],
)
def test_who_rotates_slowly_waits_for_nothing(cluster: Cluster, ago_s: tuple[float, ...], *, waits: bool) -> None:
    cluster.put(cluster.ring.rotated())
    cluster.keys_written(*ago_s)
    result = cluster.run("keys", "retire")
    assert (result.exit_code, len(cluster.stored().fingerprints())) == (0, 1)
    assert cluster.waited == [SETTLED_S] * waits
    assert ("waiting" in result.stderr) is waits


def test_nobody_waits_for_a_refusal_or_where_there_is_nothing_to_retire(cluster: Cluster) -> None:
    assert "only one key" in cluster.run("keys", "retire").stderr
    cluster.sealed_secret("old-one")
    cluster.run("keys", "rotate")
    assert cluster.run("keys", "retire").exit_code == 4
    assert cluster.waited == []


def test_a_rotation_while_retire_waits_loses_no_new_key(cluster: Cluster) -> None:
    newest = cluster.ring.rotated().rotated()
    cluster.put(KeyRing.parse("\n".join(newest.text().split()[1:])))
    cluster.meanwhile = lambda: cluster.put(newest)
    assert cluster.run("keys", "retire").exit_code == 0
    assert cluster.stored().fingerprints() == newest.fingerprints()[:2]


def test_the_wait_is_longer_than_a_replica_goes_without_a_look_at_the_keys() -> None:
    webhook_s, another_s = 5.0, 10.0  # timeoutSeconds: ours, and what the API server takes where nothing is said
    assert STALE_S + webhook_s + another_s <= SETTLED_S


def test_reseal_goes_past_what_it_cannot_open_and_what_is_in_motion(cluster: Cluster) -> None:
    cluster.sealed_secret("a")
    foreign = cluster.ring.seal(PASSWORD, "another-namespace", Field.PASSWORD)
    cluster.api.put_secret(NAMESPACE, "b", {"password": foreign})
    cluster.sealed_secret("c")
    cluster.put(cluster.ring.rotated())
    cluster.api.inject(Fail(CONFLICT), "PATCH", "secrets")
    result = cluster.run("keys", "reseal")
    assert (result.exit_code, result.stdout.split()) == (0, [f"{NAMESPACE}/a", f"{NAMESPACE}/c"])
    assert cluster.value("b") == foreign
    assert cluster.run("keys", "retire").exit_code == 0, "a copy that is of no use keeps no key alive"


def test_who_must_may_give_up_what_needs_an_old_key(cluster: Cluster) -> None:
    cluster.sealed_secret("a")
    cluster.put(cluster.ring.rotated())
    cluster.api.inject(Fail(ApiRefused("KubernetesRefused", "field is immutable", status=422)), "PATCH", "secrets")
    resealed = cluster.run("keys", "reseal")
    assert (resealed.exit_code, "field is immutable" in resealed.stderr) == (1, True)
    refused = cluster.run("keys", "retire")
    assert (refused.exit_code, "--even-if-used" in refused.stderr) == (4, True)
    assert cluster.run("keys", "retire", "--even-if-used").exit_code == 0
    assert len(cluster.stored().fingerprints()) == 1
    assert cluster.waited == []


@pytest.mark.parametrize("unread", ["watched", "quiet", "number"])
def test_what_cannot_be_read_is_named_and_may_need_any_key(cluster: Cluster, unread: str) -> None:
    cluster.sealed_secret("watched")
    cluster.sealed_secret("quiet", watched=False)
    cluster.api.apply(manifest("number", sipPasswordSecretRef={"name": "quiet"}))
    cluster.run("keys", "rotate")
    plural = PLURAL if unread == "number" else "secrets"
    cluster.api.garbled.add((plural, NAMESPACE, unread))
    listed = cluster.run("keys", "list")
    assert listed.exit_code == 0
    assert f"{plural} {NAMESPACE}/{unread}: it is garbled" in " ".join(listed.stderr.split())
    resealed = cluster.run("keys", "reseal")
    assert resealed.exit_code == 1
    assert f"{NAMESPACE}/{unread}" in resealed.stderr
    assert ("voice/watched" in resealed.stdout) == (unread != "watched")
    before = cluster.stored()
    refused = cluster.run("keys", "retire")
    assert (refused.exit_code, cluster.stored()) == (4, before)
    assert "cannot be read" in refused.stderr
    assert cluster.run("keys", "retire", "--even-if-used").exit_code == 0


def test_retire_needs_to_see_every_secret(cluster: Cluster) -> None:
    cluster.put(cluster.ring.rotated())
    cluster.api.inject(Fail(FORBIDDEN), "GET", "byocphonenumbers")
    result = cluster.run("keys", "retire")
    assert result.exit_code == 3
    assert len(cluster.stored().fingerprints()) == 2


@pytest.mark.parametrize("command", ["rotate", "list", "reseal", "retire"])
def test_who_may_not_read_the_keys_can_do_nothing_with_them(cluster: Cluster, command: str) -> None:
    cluster.api.inject(Fail(FORBIDDEN), "GET", "secrets")
    result = cluster.run("keys", command)
    assert (result.exit_code, result.stdout) == (3, "")
    assert cluster.api.writes == []


# migrate

OLD = Fernet.generate_key().decode()


def token(text: str) -> str:
    return Fernet(OLD).encrypt(text.encode()).decode()


@pytest.fixture
def old_key(tmp_path: Any) -> str:
    path = tmp_path / "old.key"
    path.write_text(OLD + "\n")
    return str(path)


def test_tokens_of_the_hosted_service_become_sealed_secrets(cluster: Cluster, old_key: str) -> None:
    lines = [
        {"name": "one", "username": USER, "passwordToken": token(PASSWORD)},
        {"name": "two", "namespace": "sales", "usernameToken": token(USER), "passwordToken": token(PASSWORD)},
        {"name": "three", "passwordToken": token(PASSWORD)},
    ]
    stdin = "\n".join(map(json.dumps, lines))
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert result.exit_code == 0
    made = list(yaml.safe_load_all(result.stdout))
    assert [each["metadata"]["namespace"] for each in made] == [NAMESPACE, "sales", NAMESPACE]
    opened = [
        {
            key: cluster.ring.open(text, each["metadata"]["namespace"], field_of(key))
            for key, text in each["stringData"].items()
        }
        for each in made
    ]
    assert opened == [CREDENTIALS, CREDENTIALS, {"password": PASSWORD}]
    assert OLD not in result.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "line 2: it is no JSON object"),
        ("[]", "line 2: it is no JSON object of texts"),
        ('{"name": "x"}', "line 2: name and passwordToken are needed"),
        ('{"name": "x", "passwordToken": "x", "password": "y"}', "line 2: only name"),
        ('{"name": "x", "passwordToken": "gAAAAA"}', "line 2: passwordToken: the token does not open with the old key"),
        (json.dumps({"name": "x", "passwordToken": token("x\n")}), "line 2: password: the value ends with a newline"),
        (
            json.dumps({"name": "x", "passwordToken": token("\ufeffx")}),
            "line 2: password: the value starts with a byte",
        ),
        (
            json.dumps({"name": "x", "username": "\ud800", "passwordToken": token("x")}),
            "line 2: username: the value is",
        ),
        (json.dumps({"name": "A_Bad", "passwordToken": token("x")}), "line 2: name: the name of a Secret"),
        (
            json.dumps({"name": "x", "namespace": "a/b", "passwordToken": token("x")}),
            "line 2: namespace: the name of a",
        ),
        ("[" * 100_000, "line 2: it is no JSON object"),
        (json.dumps({"name": "good", "passwordToken": token("x")}), f"more than one line makes {NAMESPACE}/good"),
    ],
    ids=range(12),
)
def test_one_wrong_line_and_nothing_is_printed(cluster: Cluster, old_key: str, line: str, words: str) -> None:
    stdin = json.dumps({"name": "good", "passwordToken": token(PASSWORD)}) + "\n" + line
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


def test_only_a_newline_ends_a_line(cluster: Cluster, old_key: str) -> None:
    """A separator of Unicode is in the line, and refused as what it is, by the number of its line."""
    entry = {"name": "x", "username": "a\u2028b", "passwordToken": token(PASSWORD)}
    stdin = "\r\n".join((json.dumps({**entry, "username": "a b"}), json.dumps(entry, ensure_ascii=False), "", ""))
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 2: " in result.stderr
    assert "contains U+2028, a character that cannot be seen" in " ".join(result.stderr.split())


def test_files_of_other_editors(cluster: Cluster, tmp_path: Any) -> None:
    """A byte order mark is passed over in both files; what is not UTF-8 is said, and quoted nowhere."""
    key, tokens = tmp_path / "old.key", tmp_path / "tokens.jsonl"
    line = json.dumps({"name": "x", "passwordToken": token(PASSWORD)})
    args = ("migrate", str(tokens), "--old-key-file", str(key), "-n", NAMESPACE)
    key.write_text(OLD, encoding="utf-8-sig")
    tokens.write_text(line, encoding="utf-8-sig")
    assert yaml.safe_load(cluster.run(*args).stdout)["metadata"]["name"] == "x"
    key.write_text(OLD, encoding="utf-16")
    result = cluster.run(*args)
    assert (result.exit_code, result.stdout, "--old-key-file is not UTF-8" in result.stderr) == (2, "", True)
    tokens.write_text(line, encoding="utf-16")
    result = cluster.run(*args)
    assert (result.exit_code, result.stdout, "TOKENS is not UTF-8" in result.stderr) == (2, "", True)


def test_a_wrong_old_key_and_two_times_stdin_are_refused(cluster: Cluster, tmp_path: Any) -> None:
    path = tmp_path / "old.key"
    path.write_text("no key")
    result = cluster.run("migrate", "-", "--old-key-file", str(path), stdin="{}")
    assert (result.exit_code, "the old key: line 1" in result.stderr) == (2, True)
    assert cluster.run("migrate", "-", "--old-key-file", "-", stdin="{}").exit_code == 2


@pytest.mark.parametrize("args", [(), ("seal",), ("keys",), ("keys", "rotate"), ("keys", "retire"), ("migrate",)])
def test_every_command_has_help(cluster: Cluster, args: tuple[str, ...]) -> None:
    result = cluster.run(*args, "--help")
    assert (result.exit_code, "Usage: " in result.stdout) == (0, True)
