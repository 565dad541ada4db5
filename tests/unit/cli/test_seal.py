"""`kubectl byoc seal`: what it prints, and what it refuses."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from byoc_operator.core.credential_values import Field, field_of
from byoc_operator.core.credentials import SEALED_PREFIX
from byoc_operator.sealing.sealed import KeyRing
from kubectl import CREDENTIALS, FORBIDDEN, Cluster
from operated import NAMESPACE, PASSWORD, USER
from storage_keys import ACCOUNT_KEY, SECRETS, TEXTS

INPUT = f"{USER}\n{PASSWORD}\n"


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


@pytest.mark.parametrize("storage", SECRETS)
def test_the_keys_of_a_storage(cluster: Cluster, storage: str) -> None:
    stdin = "\n".join(SECRETS[storage].values())
    result = cluster.run("seal", "recordings", "-n", NAMESPACE, "--for", storage, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, "")
    values = yaml.safe_load(result.stdout)["stringData"]
    opened = {key: cluster.ring.open(text, NAMESPACE, field_of(key)) for key, text in values.items()}
    assert opened == SECRETS[storage]
    assert not any(text in result.stdout for text in TEXTS)


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
        (("--key", "credentials.json"), INPUT, "holds a key of a recording's storage; name another key"),
        (("--for", "s3", "--key", "pw"), INPUT, "--key and --no-username have no meaning with --for s3"),
        (("--for", "gcs", "--no-username"), INPUT, "have no meaning with --for gcs"),
        (("--for", "s4"), INPUT, "'s4' is not one of 'sip', 's3', 'gcs', 'azure'"),
        (("--for", "s3"), "AKIA\n", "lines on standard input: 1; expected: access key ID and secret access key"),
        (("--for", "azure"), f"{ACCOUNT_KEY}\n\n", "lines on standard input: 2; expected: key of the storage account"),
        (("--for", "azure"), "no base64!\n", "AZURE_STORAGE_KEY: the key of a storage account is base64"),
        (("--for", "s3"), f"A/B\n{PASSWORD}\n", "AWS_ACCESS_KEY_ID: an access key ID has"),
        (("--for", "gcs"), "", "credentials.json: the value is empty; 1 to 4096 bytes"),
        (("--for", "gcs"), "{}", "credentials.json: the value is no key of a service account"),
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
    cluster.api.inject(FORBIDDEN, "GET", "secrets")
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
    cluster.api.inject(FORBIDDEN, "GET", "secrets")
    cluster.api.admitting = webhook(cluster.ring, *keys)
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "not every value came back sealed" in result.stderr


def test_who_may_neither_read_keys_nor_create_secrets_gets_nothing(cluster: Cluster) -> None:
    cluster.api.inject(FORBIDDEN, "GET", "secrets")
    cluster.api.inject(FORBIDDEN, "POST", "secrets")
    result = cluster.run("seal", "sip", "-n", NAMESPACE, stdin=INPUT)
    assert (result.exit_code, result.stdout) == (3, "")
