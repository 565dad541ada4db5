"""Log lines and the health endpoints."""

import json
import logging
import time
import warnings
from collections.abc import Iterator

import aiohttp
import pytest

from byoc_operator.api.conditions import Condition
from byoc_operator.api.recorded_status import RecordedIds, RecordedStatus
from byoc_operator.api.resource import Key
from byoc_operator.telemetry.health import HealthServer
from byoc_operator.telemetry.logs import RUN, set_up
from byoc_operator.telemetry.metrics import Metrics
from byoc_operator.telemetry.rationed import LINES
from testbed.part import free_port

LOG = logging.getLogger("byoc_operator.engine.some")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("byoc_operator")
    before = (root.handlers[:], root.level, ours.level)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_a_json_line_names_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=True, level="INFO")
    LOG.warning("Grüße %s", "you", extra={"number": Key("voice", "main")})
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "severity": "WARNING",
        "logger": "byoc_operator.engine.some",
        "message": "Grüße you",
        "namespace": "voice",
        "name": "main",
    }


def test_a_text_line_names_the_number(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=False, level="INFO")
    LOG.info("changed", extra={"number": Key("voice", "main")})
    assert capsys.readouterr().err.endswith(" INFO    [voice/main] changed\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_name_begins_a_line_of_its_own(*, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=as_json, level="INFO")
    LOG.info("refused %s", "a\nERROR forged\r\x1b[2J\u2028b\x85c")
    err = capsys.readouterr().err
    assert [line[:1] for line in err.split("\n")[1:]] == [*([] if as_json else [" "]), ""]
    assert "\r" not in err
    assert "forged" in err
    assert "\x1b" not in err


HIDDEN = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u2028\u2029\u200b\u200f\u202e\u2066\ufeff\ud800"]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("hidden", HIDDEN, ids=[f"{ord(each):x}" for each in HIDDEN])
def test_what_cannot_be_seen_is_seen_in_the_log(
    hidden: str, *, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(as_json=as_json, level="INFO")
    LOG.info("a%sb", hidden, extra={"number": f"vo{hidden}ice/ma{hidden}in"})
    err = capsys.readouterr().err
    told = "".join(map(str, json.loads(err).values())) if as_json else err.removesuffix("\n")
    assert f"ma\\u{{{ord(hidden):x}}}in" in told
    assert hidden not in told.replace("\n    ", "").replace("\n", "")
    assert err.isascii()
    if as_json:
        assert err.count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_is_bounded_and_one_line_whatever_is_logged(
    *, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(as_json=as_json, level="INFO")
    LOG.warning("a number %s", "x" * 2_000_000, extra={"number": Key("v" * 100_000, "n" * 100_000)})
    LOG.warning("arguments that do not fit: %d", "\x1b[2J")
    LOG.warning("%s", _Unspeakable())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(len(line) < 10_000 for line in lines)


class _Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("\x1b[2J")


def test_what_libraries_log_and_warn_of_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=True, level="INFO")
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task exception=ValueError('sekrit')>"
    )
    logging.getLogger("kopf.objects").warning("Ignoring %r", {"a\x1b": "\u202e"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old\x9b", stacklevel=1)
    err = capsys.readouterr().err
    assert "sekrit" not in err
    assert err.isascii()
    assert [json.loads(line)["logger"] for line in err.splitlines()] == ["asyncio", "kopf.objects", "py.warnings"]


@pytest.mark.parametrize("as_json", [True, False])
def test_of_an_exception_only_the_type_is_logged(*, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=as_json, level="INFO")
    try:
        int("sekrit")
    except ValueError:
        LOG.exception("it broke")
    err = capsys.readouterr().err
    assert "it broke (ValueError)" in err
    assert "sekrit" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_without_a_number_and_a_library_at_info(*, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=as_json, level="DEBUG")
    LOG.debug("swept")
    logging.getLogger("kubernetes").info("a whole body")
    err = capsys.readouterr().err
    assert "swept" in err
    assert "a whole body" not in err
    assert "namespace" not in err


def test_lines_that_strangers_can_cause_are_rationed(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(as_json=False, level="INFO")
    for _ in range(100):
        logging.getLogger("byoc_operator.admission.server").warning("/seal was sent no JSON")
    assert len(capsys.readouterr().err.splitlines()) == LINES


async def test_health_readiness_and_metrics() -> None:
    missing, metrics = ["the lists are not read yet"], Metrics()
    port = free_port()
    server = HealthServer(port, metrics.registry, lambda: (missing, {"liveKit": "LiveKitUnavailable: down"}))
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert await _get(session, "/healthz") == (200, {"status": "ok"})
            status, body = await _get(session, "/readyz")
            assert (status, body["waitingFor"]) == (503, ["the lists are not read yet"])
            missing.clear()
            status, body = await _get(session, "/readyz")
            assert (status, body["liveKit"]) == (200, "LiveKitUnavailable: down")
            async with session.get("/metrics") as answer:
                text = await answer.text()
    finally:
        await server.stop()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert names
    assert [name for name in names if not name.startswith(("byoc_", "process_"))] == []


async def _get(session: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, object]]:
    async with session.get(path) as answer:
        return answer.status, await answer.json()


def test_numbers_by_reason_are_counted_when_somebody_looks() -> None:
    metrics = Metrics()
    counts: dict[tuple[str, ...], float] = {("Synced",): 2}
    metrics.gauges("byoc_numbers", lambda: counts)
    counts[("Paused",)] = 1
    assert metrics.registry.get_sample_value("byoc_numbers", {"reason": "Synced"}) == 2
    assert metrics.registry.get_sample_value("byoc_numbers", {"reason": "Paused"}) == 1


async def test_the_process_has_failed_says_healthz() -> None:
    failure = ["", "a watcher has ended"]
    port = free_port()
    server = HealthServer(port, Metrics().registry, lambda: ([], {}), lambda: failure[0])
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert (await _get(session, "/healthz"))[0] == 200
            failure.pop(0)
            assert await _get(session, "/healthz") == (503, {"status": "failed", "because": "a watcher has ended"})
    finally:
        await server.stop()


async def test_scrapes_in_a_loop_are_counted_seldom() -> None:
    metrics, counted = Metrics(), list[int]()

    def slowly() -> float:
        counted.append(1)
        time.sleep(0.02)
        return 1.0

    metrics.gauge("byoc_watches_broken", slowly)
    port = free_port()
    server = HealthServer(port, metrics.registry, lambda: ([], {}))
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            for _ in range(20):
                async with session.get("/metrics") as answer:
                    assert "byoc_watches_broken 1.0" in await answer.text()
    finally:
        await server.stop()
    assert len(counted) <= 3


RECORDED = RecordedStatus(
    conditions=(Condition("Ready", "False", "Retrying", "again"),),
    ids=RecordedIds(outbound="ST_out"),
    carrier="Twilio",
)


def number_line(*, as_json: bool, capsys: pytest.CaptureFixture[str], run: int) -> str:
    set_up(as_json=as_json, level="INFO")
    RUN.set(run)
    LOG.info("changed", extra={"number": Key("voice", "main"), "recorded": RECORDED})
    RUN.set(0)
    return capsys.readouterr().err


def test_a_json_line_about_an_object_has_its_state_and_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(number_line(as_json=True, capsys=capsys, run=7))
    assert first["run"].endswith("-7")
    state = {name: first[name] for name in first if name not in ("timestamp", "severity", "logger", "message", "run")}
    expected = {"reason": "Retrying", "carrier": "Twilio", "outboundTrunkId": "ST_out"}
    assert state == {"namespace": "voice", "name": "main", **expected}
    assert "run" not in json.loads(number_line(as_json=True, capsys=capsys, run=0))


def test_a_text_line_about_an_object_has_its_state_and_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    line = number_line(as_json=False, capsys=capsys, run=7)
    assert "[voice/main reason=Retrying carrier=Twilio outboundTrunkId=ST_out run=" in line
    assert line.endswith("-7] changed\n")
