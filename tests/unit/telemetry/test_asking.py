"""Asking a running operator whether it is ready, as `helm test` does."""

import asyncio

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from byoc_operator.__main__ import byoc_operator
from byoc_operator.telemetry.asking import problem_at
from byoc_operator.telemetry.health import HealthServer
from testbed.part import free_port


@pytest.mark.parametrize(
    ("missing", "said"), [([], ""), (["the numbers are not listed yet"], "the numbers are not listed yet")]
)
async def test_it_hears_what_readyz_says(missing: list[str], said: str) -> None:
    port = free_port()
    server = HealthServer(port, CollectorRegistry(), lambda: (missing, {}), lambda: "")
    await server.start()
    try:
        problem = await asyncio.to_thread(problem_at, f"http://127.0.0.1:{port}/readyz")
    finally:
        await server.stop()
    assert said in problem
    assert bool(problem) == bool(missing)


def test_the_command_fails_with_one_line_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    done = CliRunner().invoke(byoc_operator, ["ready", f"http://127.0.0.1:{free_port()}/readyz"])
    assert done.exit_code == 1
    assert done.stderr == (
        "byoc-operator: not ready: nobody answers (ConnectionRefusedError): has the Service a ready replica?\n"
    )


@pytest.mark.parametrize("url", ["byoc-operator:8080", "https://byoc-operator/readyz", "http://", "http://u:p@host/"])
def test_a_wrong_url_is_wrong_input(url: str) -> None:
    done = CliRunner().invoke(byoc_operator, ["ready", url])
    assert done.exit_code == 2
    assert "must be an http URL" in done.stderr
