"""`refresh` and `recreate`: each new value is carried out once, whatever happens in between."""

import json

from integration.deployment import NEVER, Deployment
from integration.scene import BASE, Json, Scene, condition, fresh_number, livekit_writes, recorded
from manifests import manifest

ONE_OF_EACH = {"SIPOutboundTrunk": 1, "SIPInboundTrunk": 1, "SIPDispatchRule": 1}
REPLACED = {f"Update{kind}": count for kind, count in ONE_OF_EACH.items()}
MADE_ANEW = {f"Create{kind}": count for kind, count in ONE_OF_EACH.items()} | {
    "DeleteSIPTrunk": 2,
    "DeleteSIPDispatchRule": 1,
}


def _answered(scene: Scene, field: str, value: str, name: str = "a") -> Json:
    def probe() -> Json | None:
        number = scene.get(name)
        return number if number["status"].get(field) == value else None

    found = scene.until(probe, f"{name}: {field} is {value}")
    assert found is not None
    return found


def test_refresh_replaces_everything_in_place_exactly_once(scene: Scene) -> None:
    phone = scene.number()
    before = recorded(scene.ready())
    with scene.counted() as calls:
        scene.annotate("refresh=1")
        number = _answered(scene, "lastHandledRefresh", "1")
        scene.after_a_sweep()
    assert livekit_writes(calls) == REPLACED
    assert scene.held(phone).ids == recorded(number) == before
    with scene.counted() as calls:
        scene.annotate("refresh=2")
        _answered(scene, "lastHandledRefresh", "2")
    assert livekit_writes(calls) == REPLACED


def test_a_number_born_with_a_refresh_owes_none(scene: Scene) -> None:
    spec = {**BASE, "phoneNumber": fresh_number()}
    born = manifest("a", scene.namespace, spec)
    born["metadata"]["annotations"] = {"byoc.talkifai.dev/refresh": "7", "byoc.talkifai.dev/recreate": "7"}
    with scene.counted() as calls:
        scene.kubectl("create", "-f", "-", stdin=json.dumps(born))
        number = scene.ready()
        scene.after_a_sweep()
    assert livekit_writes(calls) == {f"Create{kind}": 1 for kind in ONE_OF_EACH}
    assert number["status"]["lastHandledRefresh"] == number["status"]["lastHandledRecreate"] == "7"


def test_recreate_makes_new_ids_without_duplicates_exactly_once(scene: Scene) -> None:
    phone = scene.number()
    before = recorded(scene.ready())
    with scene.counted() as calls:
        scene.annotate("recreate=1")
        number = _answered(scene, "lastHandledRecreate", "1")
        scene.after_a_sweep()
    assert livekit_writes(calls) == MADE_ANEW
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    assert held.ids == recorded(number)
    assert set(held.ids).isdisjoint(before)


def test_an_answered_annotation_is_not_answered_again_after_a_restart(scene: Scene, deployment: Deployment) -> None:
    phone = scene.number()
    scene.ready()
    scene.annotate("recreate=1", "refresh=1")
    _answered(scene, "lastHandledRecreate", "1")
    _answered(scene, "lastHandledRefresh", "1")
    before = scene.held(phone).bytes
    deployment.restart()
    scene.after_a_sweep()
    assert scene.held(phone).bytes == before


def test_an_annotation_set_while_the_operator_is_away_is_answered_once(scene: Scene, deployment: Deployment) -> None:
    phone = scene.number()
    before = recorded(scene.ready())
    deployment.stop()
    with scene.counted() as calls:
        scene.annotate("recreate=1")
        deployment.start()
        _answered(scene, "lastHandledRecreate", "1")
        scene.after_a_sweep()
    assert livekit_writes(calls) == MADE_ANEW
    assert set(scene.held(phone).ids).isdisjoint(before)


def test_a_wiped_status_recreates_nothing(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    scene.annotate("recreate=1", "refresh=1")
    _answered(scene, "lastHandledRecreate", "1")
    _answered(scene, "lastHandledRefresh", "1")
    before = scene.held(phone).bytes
    with scene.counted() as calls:
        scene.wipe_status()
        number = _answered(scene, "lastHandledRecreate", "1")
        scene.after_a_sweep()
    assert livekit_writes(calls) == {}
    assert scene.held(phone).bytes == before
    assert recorded(number) == scene.held(phone).ids


def test_recreate_in_the_middle_of_a_crash_leaves_one_of_each(scene: Scene, deployment: Deployment) -> None:
    phone = scene.number()
    before = recorded(scene.ready())
    scene.proxy.hang("CreateSIPInboundTrunk")
    scene.annotate("recreate=1")
    scene.until(lambda: scene.held(phone).counts == (1, 0, 0), "it is half done")
    deployment.kill()
    scene.proxy.clear()
    scene.proxy.settle()
    deployment.start()
    _answered(scene, "lastHandledRecreate", "1")
    scene.ready()
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    assert set(held.ids).isdisjoint(before)


def test_the_operator_never_touches_annotations(scene: Scene) -> None:
    scene.number()
    scene.ready()
    scene.annotate("refresh=1", "recreate=1", "paused=false", "force-orphan=false")
    _answered(scene, "lastHandledRecreate", "1")
    scene.after_a_sweep()
    assert scene.get()["metadata"]["annotations"] == {
        "byoc.talkifai.dev/refresh": "1",
        "byoc.talkifai.dev/recreate": "1",
        "byoc.talkifai.dev/paused": "false",
        "byoc.talkifai.dev/force-orphan": "false",
    }


def test_a_refresh_of_all_replaces_all_a_quarter_of_the_concurrency_at_a_time(
    stage: Scene, deployment: Deployment
) -> None:
    scene = stage
    deployment.ensure(NEVER | {"BYOC_LIVEKIT_CONCURRENCY": "8"})
    made = scene.numbers(20)
    before = {number["metadata"]["name"]: recorded(number) for number in scene.all_ready(20)}
    for kind in ONE_OF_EACH:
        scene.proxy.slow(f"Update{kind}", 0.05, times=20)
    scene.proxy.most_at_once.clear()
    with scene.counted() as calls:
        scene.kubectl("annotate", "bpn", "--all", "byoc.talkifai.dev/refresh=1732280000")
        scene.until(
            lambda: {number["status"].get("lastHandledRefresh") for number in scene.all()} == {"1732280000"},
            "all are refreshed",
        )
    assert livekit_writes(calls) == dict.fromkeys(REPLACED, 20)
    assert scene.proxy.most_at_once["Update"] == 2
    assert {number["metadata"]["name"]: recorded(number) for number in scene.all()} == before
    assert all(condition(number)["reason"] == "Synced" for number in scene.all())
    assert len(made) == len(before)


def test_a_users_change_does_not_wait_for_a_refresh_of_all(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(NEVER | {"BYOC_LIVEKIT_CONCURRENCY": "8"})
    scene.numbers(12)
    scene.all_ready(12)
    scene.proxy.hang("UpdateSIPOutboundTrunk", times=2)
    scene.kubectl("annotate", "bpn", "--all", "byoc.talkifai.dev/refresh=1")
    scene.until(lambda: scene.proxy.most_at_once["Update"] >= 2, "the refresh has begun")
    scene.number("urgent")
    scene.ready("urgent")
    assert [n for n in scene.all() if n["status"].get("lastHandledRefresh") == "1"] == []
    scene.proxy.clear()
    scene.until(
        lambda: len([n for n in scene.all() if n["status"].get("lastHandledRefresh") == "1"]) == 12, "all refreshed"
    )
