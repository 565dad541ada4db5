"""Whatever stands in a field of an object: a table or a sentence, no traceback, no escape, no forged line, no key."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byoc_operator.cli.exit_codes import ExitCode
from byoc_operator.sealing.sealed import KeyRing
from kubectl import Cluster
from operated import NAMESPACE, PASSWORD, SYSTEM, USER
from standing import KEY, stand

pytestmark = pytest.mark.slow

ESCAPES = "\x1b[2J\x1b]0;own\x07\u202e\nforged: ok"
VALUES = (None, 5, -1, True, 1e308, float("nan"), "", ESCAPES, "x" * 70_000, "²", "9" * 5_000)
VALUES_OF_LISTS: tuple[object, ...] = ([], {}, [None], [5], [[]], {"a": None}, [ESCAPES], {ESCAPES: ESCAPES})
COMMANDS = {
    "doctor": ("doctor", "main", "-n", NAMESPACE, "--source", "192.0.2.7"),
    "doctor -o json": ("doctor", "main", "-n", NAMESPACE, "-o", "json"),
    "doctor --ring-agent": ("doctor", "main", "-n", NAMESPACE, "--ring-agent"),
    "dial": ("dial", "main", "-n", NAMESPACE, "--to", "+442079460123", "--yes"),
    "plan": ("plan", "main", "-n", NAMESPACE),
    "status": ("status", "-n", NAMESPACE),
}
SPARED = ("name", "namespace", "uid", "resourceVersion", "labels")
"""Of the metadata: by these the cluster in memory itself finds an object."""

STATUS = {
    "carrier": "Twilio",
    "liveKit": "livekit.example.com",
    "originationUri": "sip:sip.example.org",
    "lastHandledRefresh": "1",
    "aliases": ["100"],
    "credentials": {"secretName": "sip", "resourceVersion": "1", "sealed": True},
    "findings": [{"code": "NoInboundAgent", "message": "m"}],
    "pendingChanges": ["outboundTrunk.address"],
}


class Spoiled(Cluster):
    """A cluster whose stored sealing keys may be what is spoiled."""

    def stored(self) -> KeyRing:
        return self.ring


def world() -> Cluster:
    cluster = Spoiled()
    stand(cluster)
    number = cluster.api._objects["byocphonenumbers", NAMESPACE, "main"]
    number["spec"]["outboundAgentId"] = "agent_sales"
    number["status"].update(STATUS)
    number["metadata"]["annotations"] = {"byoc.talkifai.dev/refresh": "1"}
    for key, stored in cluster.api._objects.items():  # a value that is put in must not get into the next world
        cluster.api._objects[key] = deepcopy(stored)
    return cluster


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything below a value."""
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in within:
        if path == ("metadata",) and key in SPARED:
            continue
        if path or key != "metadata":
            yield (*path, key)
        yield from places(each, (*path, key))


PLACES = [(key, path) for key, stored in world().api._objects.items() for path in places(stored)]


def put(stored: Any, path: tuple[Any, ...], value: object) -> None:
    for each in path[:-1]:
        stored = stored[each]
    stored[path[-1]] = value


@pytest.mark.parametrize("command", COMMANDS)
@settings(max_examples=12, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from((*VALUES, *VALUES_OF_LISTS)))
def test_a_value_that_nobody_expects(command: str, place: tuple[Any, tuple[Any, ...]], value: object) -> None:
    cluster, (key, path) = world(), place
    put(cluster.api._objects[key], path, value)
    result = cluster.run(*COMMANDS[command])
    assert result.exit_code in set(ExitCode)
    assert "which is a bug" not in result.output, result.output
    assert all(each.isprintable() for each in result.output.splitlines())
    assert not any(each.startswith("forged") for each in result.output.splitlines())
    assert not any(secret in result.output for secret in (PASSWORD, USER, *KEY.values()))
    assert len(result.output) < 500_000


def test_the_places_are_those_of_all_objects_that_commands_read() -> None:
    assert {key[0] for key, _ in PLACES} >= {
        "byocphonenumbers",
        "secrets",
        "deployments",
        "configmaps",
        "pods",
        "leases",
    }
    assert (("secrets", SYSTEM, "byoc-sealing-keys"), ("data",)) in PLACES
