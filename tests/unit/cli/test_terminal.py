"""Texts of others in the output of `kubectl byoc`: no markup, no control characters, bounded length."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.errors import MarkupError
from rich.text import Text

from byoc_operator.api.conditions import Reason
from byoc_operator.cli import terminal
from byoc_operator.cli.kubectl_byoc import kubectl_byoc
from byoc_operator.cli.outside import Outside
from byoc_operator.cli.told_logs import MAX_MESSAGES, logs_told
from byoc_operator.cluster.answers import ApiRefused
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import Fail, FakeApi
from operated import NAMESPACE, manifest

HOSTILE = "\\[/foo] [/] [bold] [link=x]y[/link] :smile: \x1b[2J\x9b31m\u202e\u2028\ud800 ende"
SHOWN = "\\[/foo] [/] [bold] [link=x]y[/link] :smile: \\u{1b}[2J\\u{9b}31m\\u{202e}\\u{2028}\\u{d800} ende"


def test_the_text_would_do_harm_as_markup() -> None:
    with pytest.raises(MarkupError):
        Text.from_markup(HOSTILE)


def test_a_line_of_others_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell(HOSTILE, head="kubectl byoc:")
    terminal.show(HOSTILE)
    shown = capsys.readouterr()
    assert shown.err == f"kubectl byoc: {SHOWN}\n"
    assert shown.out == f"{SHOWN}\n"


def test_a_line_end_of_others_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell("trunk (x\nkubectl byoc: all is well)", head="not imported:")
    assert capsys.readouterr().err == "not imported: trunk (x\\u{a}kubectl byoc: all is well)\n"


def test_a_cell_of_a_table_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    terminal.show_table(("NAME", "WHAT"), [(HOSTILE, "x"), ("y" * 1_000_000, "z")])
    shown = capsys.readouterr().out
    assert SHOWN in shown
    assert len(shown) < 10_000


def test_a_terminal_shows_the_last_column_under_its_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(terminal, "is_terminal", lambda **_: True)
    rows = [("bad", "it is broken", "mend it\x1b[2J"), ("ok", "it works", "")]
    terminal.show_table(("STATE", "SAYS", "REMEDY"), rows, [row[-1] for row in rows])
    lines = [click.unstyle(line).rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["STATE  SAYS", "bad    it is broken", "       -> mend it\\u{1b}[2J", "ok     it works"]


def test_in_a_pipe_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_table(("STATE", "REMEDY"), [("bad", "mend it")], ["mend it"])
    assert capsys.readouterr().out == "STATE   REMEDY\nbad     mend it\n"


def test_what_is_logged_is_told_once_and_without_controls(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        logging.getLogger(), "handlers", [logging.NullHandler()]
    )  # pytest's own cannot pass a lone surrogate on
    log = logging.getLogger("somebody")
    with logs_told():
        for _ in range(3):
            log.warning("%s", HOSTILE, exc_info=ValueError("hunter2"))
        for count in range(2 * MAX_MESSAGES):
            log.error("message %d", count)
        log.info("nobody asks")
    log.warning("later")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [f"warning: {SHOWN}", "error: message 0"]
    assert len(lines) == MAX_MESSAGES


def test_a_command_tells_what_is_logged() -> None:
    with CliRunner().isolation() as (_, err, _), kubectl_byoc.make_context("byoc", ["status"]) as ctx:
        ctx.invoke(kubectl_byoc.callback or pytest.fail)
        logging.getLogger("somebody").warning("a cloud")
        assert err.getvalue() == b"warning: a cloud\n"


def test_a_megabyte_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell("x" * 2_000_000)
    terminal.show("y" * 2_000_000)
    shown = capsys.readouterr()
    assert len(shown.err) == len(shown.out) == terminal.MAX_LINE + 1


@pytest.mark.parametrize("command", [("seal", "sip"), ("keys", "list"), ("keys", "rotate"), ("keys", "reseal")])
def test_a_servers_words_are_no_markup_and_no_controls(command: tuple[str, ...]) -> None:
    api = FakeApi()
    api.inject(Fail(ApiRefused(Reason.KUBERNETES_REFUSED, HOSTILE + "x" * 2_000_000, status=500)), "GET", "secrets")

    async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
        return api, "voice"

    result = CliRunner().invoke(kubectl_byoc, command, input="user\npassword\n", obj=Outside(connect))
    assert result.exit_code == 1
    assert SHOWN in result.stderr
    assert "\x1b" not in result.output
    assert len(result.output) < 100_000


def test_a_bug_is_told_without_the_words_of_its_exception() -> None:
    async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
        raise KeyError(HOSTILE)

    result = CliRunner().invoke(kubectl_byoc, ("keys", "list"), obj=Outside(connect))
    assert result.exit_code == 1
    assert "KeyError, which is a bug" in result.stderr
    assert "ende" not in result.output


@pytest.mark.parametrize("name", ["../../../../apis/x", "a/b", "a?b", "x" * 300, "a\nb", "."])
def test_a_number_whose_secret_has_no_name_asks_for_no_other_path(name: str) -> None:
    api = FakeApi()
    api.apply(manifest(sipPasswordSecretRef={"name": name, "key": "password"}))

    async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
        return api, NAMESPACE

    CliRunner().invoke(kubectl_byoc, ("keys", "list"), obj=Outside(connect))
    assert api.requests["GET", "secrets"] <= 2


PRINTS = """
import click
from byoc_operator.cli import terminal

@click.command()
def main():
    for _ in range(20000):
        terminal.{what}

main()
"""


@pytest.mark.parametrize("what", ["show('x' * 80)", "show_table(('A',), [('x' * 80,)])"])
def test_a_reader_that_goes_away_is_no_trouble(what: str) -> None:
    program = PRINTS.format(what=what)
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_closed_standard_output_is_no_trouble() -> None:
    program = "from byoc_operator.cli import terminal\nterminal.show('x')\nterminal.show_table(('A',), [('x',)])"
    closed = f'exec "{sys.executable}" -c "$0" >&-'
    done = subprocess.run(["/bin/sh", "-c", closed, program], capture_output=True, check=False)
    assert done.stderr == b""


def test_everything_of_the_command_line_goes_through_this_door() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in Path(terminal.__file__).parent.glob("*.py")}
    assert {name for name, text in texts.items() if "import rich" in text or "from rich" in text} == {"terminal"}
    users = {name for name, text in texts.items() if "click.echo" in text}
    assert users == {"terminal"}
