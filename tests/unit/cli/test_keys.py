"""`kubectl byoc keys`: what it writes, with which code it ends."""

import json

import pytest

from byoc_operator.api.names import PLURAL
from byoc_operator.cli.key_uses import LONG_AGO_S, SETTLED_S
from byoc_operator.cluster.fake import Refuse
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import LAST_APPLIED
from byoc_operator.sealing.freshness import STALE_S
from byoc_operator.sealing.sealed import KeyRing
from kubectl import CREDENTIALS, FORBIDDEN, Cluster
from operated import NAMESPACE, PASSWORD, USER, manifest

CONFLICT = Refuse(409)


def test_rotate_puts_a_new_key_first_and_keeps_the_others(cluster: Cluster) -> None:
    result = cluster.run("keys", "rotate")
    assert (result.exit_code, result.stdout) == (0, "")
    assert cluster.stored().fingerprints()[1:] == cluster.ring.fingerprints()
    assert cluster.stored().fingerprints()[0] in result.stderr


def test_a_rotation_beside_another_one_loses_no_key(cluster: Cluster) -> None:
    cluster.api.inject(CONFLICT, "PATCH", "secrets")
    assert cluster.run("keys", "rotate").exit_code == 0
    assert len(cluster.stored().fingerprints()) == 2
    patches = [each.body["metadata"] for each in cluster.api.writes]
    assert all({"uid", "resourceVersion"} < set(each) for each in patches)
    assert all(each["annotations"] == {LAST_APPLIED: None} for each in patches), "no copy of a key outlives it"
    for _ in range(5):
        cluster.api.inject(CONFLICT, "PATCH", "secrets")
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


def test_list_as_json(cluster: Cluster) -> None:
    cluster.sealed_secret("one")
    document = json.loads(cluster.run("keys", "list", "-o", "json").stdout)
    (fingerprint,) = cluster.ring.fingerprints()
    item = {"fingerprint": fingerprint, "does": "seals and opens", "count": 1, "secrets": [f"{NAMESPACE}/one"]}
    assert (document["kind"], document["items"]) == ("KeyList", [item])


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
    """A replica that has not read the new key yet seals with the old one."""
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
    cluster.api.inject(CONFLICT, "PATCH", "secrets")
    result = cluster.run("keys", "reseal")
    assert (result.exit_code, result.stdout.split()) == (0, [f"{NAMESPACE}/a", f"{NAMESPACE}/c"])
    assert cluster.value("b") == foreign
    assert cluster.run("keys", "retire").exit_code == 0, "a copy that is of no use keeps no key alive"


def test_who_must_may_give_up_what_needs_an_old_key(cluster: Cluster) -> None:
    cluster.sealed_secret("a")
    cluster.put(cluster.ring.rotated())
    cluster.api.inject(Refuse(422, "field is immutable"), "PATCH", "secrets")
    resealed = cluster.run("keys", "reseal")
    assert (resealed.exit_code, "field is immutable" in resealed.stderr) == (1, True)
    refused = cluster.run("keys", "retire")
    assert (refused.exit_code, "--even-if-used" in refused.stderr) == (4, True)
    assert cluster.run("keys", "retire", "--even-if-used").exit_code == 0
    assert len(cluster.stored().fingerprints()) == 1
    assert cluster.waited == []


def test_a_secret_that_one_may_not_change_is_a_missing_right(cluster: Cluster) -> None:
    cluster.sealed_secret("a")
    cluster.put(cluster.ring.rotated())
    cluster.api.without = {("patch", "secrets")}
    assert cluster.run("keys", "reseal").exit_code == 3


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
    cluster.api.inject(FORBIDDEN, "GET", "byocphonenumbers")
    result = cluster.run("keys", "retire")
    assert result.exit_code == 3
    assert len(cluster.stored().fingerprints()) == 2


@pytest.mark.parametrize("command", ["rotate", "list", "reseal", "retire"])
def test_who_may_not_read_the_keys_can_do_nothing_with_them(cluster: Cluster, command: str) -> None:
    cluster.api.inject(FORBIDDEN, "GET", "secrets")
    result = cluster.run("keys", command)
    assert (result.exit_code, result.stdout) == (3, "")
    assert cluster.api.writes == []
