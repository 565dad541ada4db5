"""`python -m testbed.prepare PURPOSE`: says what is found where, then makes what is missing, before anything starts.

It runs beside the installation of the Python packages, so it uses none.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed import envtest, making, tools
from testbed.building import fetching
from testbed.finding import Found, look
from testbed.go import go
from testbed.progress import minutes, tell
from testbed.tool import Tool, ToolMissing, dotted


def or_exit(needed: Sequence[Tool], *, tell_found: bool = True) -> None:
    """Prepare, and end this process with status 1 if something could not be made."""
    if failures := prepare(needed, tell_found=tell_found):
        print(*failures, sep="\n", file=sys.stderr, flush=True)
        sys.exit(1)


def prepare(needed: Sequence[Tool], *, tell_found: bool = True) -> list[ToolMissing]:
    """Say where each program is, and make those that are missing; the list tells what could not be made."""
    failures: list[ToolMissing] = []
    missing: list[Tool] = []
    for tool in needed:
        try:
            found = look(tool)
            if tell_found:
                print(_line(tool, found), flush=True)
            if found is None:
                making.check_skew(tool)
                missing.append(tool)
        except ToolMissing as error:
            failures.append(error)
    to_build = [tool for tool in missing if envtest.download(tool) is None]
    with _modules_meanwhile(to_build):
        for tool in to_build:
            try:
                tools.find(tool)
            except ToolMissing as error:
                failures.append(error)
    return failures


def _line(tool: Tool, found: Found | None) -> str:
    if found is None:
        return f"  {tool.name:<24}{dotted(tool.version):<10}missing"
    version = dotted(found.version) if found.version else "?"
    return f"  {tool.name:<24}{version:<10}{found.origin}: {_shown(found.path)}"


def _shown(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


@contextmanager
def _modules_meanwhile(to_build: Sequence[Tool]) -> Iterator[None]:
    """Say how long the builds take; while one compiles, the modules of the next ones are downloaded."""
    sources = [tool.source for tool in to_build if tool.source]
    if not sources:
        yield
        return
    expected_s = sum(source.expected_s for source in sources)
    names = ", ".join(tool.name for tool in to_build if tool.source)
    tell(f"To build, once: {names}; about {minutes(expected_s)} on two idle cores.")
    try:
        compiler = go()
    except ToolMissing:  # each build says so
        yield
        return
    with fetching(compiler, sources[1:]):
        yield


def main() -> None:
    """Find or make every program that a purpose needs. Exit code 1 if one is missing."""
    parser = argparse.ArgumentParser(prog="python -m testbed.prepare", description=main.__doc__)
    parser.add_argument("purpose", choices=tools.PURPOSES)
    parser.add_argument("--builds-only", action="store_true", help="do without what comes with the Python packages")
    options = parser.parse_args()
    needed = tools.PURPOSES[options.purpose]
    if options.builds_only:
        or_exit([tool for tool in needed if tool.source], tell_found=False)
    else:
        or_exit(needed)


if __name__ == "__main__":
    main()
