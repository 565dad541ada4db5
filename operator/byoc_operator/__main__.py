"""`byoc-operator run`: the only entry point. It starts the process, watches over it, and ends it."""

import asyncio
import logging
import sys
import traceback
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import click

try:
    import uvloop
except ModuleNotFoundError:  # the package without the extra has `kubectl byoc` only
    sys.exit("byoc-operator: the libraries of the operator are missing; install byoc-operator[operator]")

from . import handlers
from . import settings as settings_module
from .admission.webhook import Webhook
from .api.printable import printable
from .engine.engine import Engine
from .errors import CannotRun, OperatorError
from .process.vitals import Vital, Vitals
from .process.watchdog import Watchdog
from .settings import LogFormat, Settings
from .telemetry.asking import problem_at
from .telemetry.health import HealthServer
from .telemetry.logs import MAX_MESSAGE, set_up
from .wiring import Foundation, engine_of, founded, webhook_of

log = logging.getLogger("byoc_operator.main")  # `python -m` would make it `__main__`


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="byoc-operator", message="byoc-operator %(version)s")
def byoc_operator() -> None:
    """Keep LiveKit's SIP trunks in step with ByocPhoneNumber objects."""


@byoc_operator.command()
def run() -> None:
    """Run the operator until a signal ends it.

    All settings come from the environment; docs/reference.md lists them.
    """
    try:
        settings = settings_module.load()
        set_up(as_json=settings.log_format is LogFormat.JSON, level=settings.log_level)
        watchdog = Watchdog()
        watchdog.start()
        uvloop.run(_run(settings, watchdog))
    except OperatorError as exc:
        sys.stderr.write(f"byoc-operator: {printable(exc.message, MAX_MESSAGE)}\n")
        sys.exit(1)
    except Exception as exc:  # noqa: BLE001 - the text of an exception may contain a credential; its frames do not
        frames = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("ended by a bug: %s\n%s", type(exc).__name__, frames)
        sys.exit(1)


@byoc_operator.command()
@click.argument("url")
def ready(url: str) -> None:
    """Ask the operator at URL whether it is ready, such as http://byoc-operator.byoc-system.svc:8080/readyz.

    The exit code is 1 if it is not. `helm test` runs this command.
    """
    try:
        problem = problem_at(url)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="URL") from None
    if problem:
        sys.stderr.write(f"byoc-operator: not ready: {printable(problem, MAX_MESSAGE)}\n")
        sys.exit(1)


def main() -> None:
    """The executable `byoc-operator`."""
    byoc_operator(prog_name="byoc-operator")


@dataclass(frozen=True, slots=True)
class Starting:
    """The stage before the engine: it needs answers of the API server first. `webhook`: None until it listens."""

    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The stage with an engine. `webhook`: None if the settings ask for no webhook."""

    engine: Engine
    webhook: Webhook | None


@dataclass(slots=True)
class Process:
    """The process, from the time when `/healthz` answers. `stage`: how far the start has come."""

    base: Foundation
    stage: Starting | Running = Starting()

    async def leave(self) -> None:
        """Give the API server time to use the webhook of another replica. Without a webhook, return at once."""
        if self.stage.webhook is not None:
            await self.stage.webhook.leave()

    def ready(self) -> tuple[list[str], dict[str, str]]:
        """For /readyz: the problems, which keep the process from being ready, and other facts by name."""
        watchdog = self.base.watchdog
        failure = [watchdog.failure or "the process was told to end"] if watchdog.ending else []
        match self.stage:
            case Starting():
                return [*failure, "the API server has not been asked yet", *self.base.refusals.problems()], {}
            case Running(engine):
                return [*failure, *engine.problems(), *self.base.watches.problems()], _shown(engine)


def _shown(engine: Engine) -> dict[str, str]:
    """LiveKit's state, the role of this replica, a wrong file of presets: none keeps the process from being ready."""
    state = engine.livekit
    if state.trouble is not None:
        livekit = f"{state.trouble.reason}: {state.trouble.message}"
    else:
        livekit = "ok" if state.asked else "not asked yet"
    shown = {"liveKit": livekit, "role": "leads" if engine.leading else "stands by"}
    return shown | ({"carriers": engine.carriers_problem} if engine.carriers_problem else {})


async def _run(settings: Settings, watchdog: Watchdog) -> None:
    """Run until a signal comes, or until something fails that the process needs. Raises `CannotRun`."""
    for name in settings_module.unknown():
        log.warning("%s is not a setting of this operator and is ignored", name)
    vitals = Vitals(watchdog)
    ending = handlers.Ending(asyncio.Event(), asyncio.Event(), watchdog.fail)
    watchdog.follow(asyncio.get_running_loop(), ending.stop.set)
    vitals.begin()
    try:
        async with AsyncExitStack() as closing:
            process = await _prepared(settings, watchdog, vitals, closing)
            working = asyncio.create_task(_work(process, ending), name="work")
            stopped = asyncio.create_task(ending.stop.wait(), name="stop")
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            leaving = asyncio.create_task(process.leave(), name="leave")
            closing.callback(leaving.cancel)
            if isinstance(process.stage, Starting):
                working.cancel()  # it only waits for the API server
            with suppress(asyncio.CancelledError):
                await working
            await leaving
    except Exception as exc:
        if not watchdog.failure:
            raise
        raise CannotRun(watchdog.failure) from exc
    finally:
        vitals.end()
        watchdog.finish()
    if watchdog.failure:
        raise CannotRun(watchdog.failure)
    log.info("stopped")


async def _prepared(settings: Settings, watchdog: Watchdog, vitals: Vitals, closing: AsyncExitStack) -> Process:
    """Make the process without any answer of the API server. `/healthz` answers when this returns."""
    process = Process(await founded(settings, watchdog, vitals, closing))
    health = HealthServer(settings.http_port, process.base.metrics.registry, process.ready, lambda: watchdog.failure)
    try:
        await health.start()
    except OSError as exc:
        message = f"BYOC_HTTP_PORT: cannot listen on {settings.http_port}: {exc.strerror}"
        raise CannotRun(message) from exc
    closing.push_async_callback(health.stop)
    vitals.add(Vital(health.problem))
    return process


async def _work(process: Process, ending: handlers.Ending) -> None:
    """Make the webhook and the engine, and run kopf until it ends."""
    base = process.base
    webhook = await webhook_of(base)
    process.stage = Starting(webhook)
    engine = await engine_of(base)
    process.stage = Running(engine, webhook)
    base.closing.push_async_callback(engine.stop, 0.0)  # kopf stops the engine first, if kopf has started
    registry = handlers.registered(engine, engine.intake, ending, base.watches)
    await handlers.watch(registry, base.settings.namespaces, ending, base.watches)


if __name__ == "__main__":
    main()
