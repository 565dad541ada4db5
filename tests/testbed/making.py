"""Makes a program that this machine lacks: downloads it where that is allowed, else builds it from its Go module."""

from pathlib import Path

from testbed import envtest
from testbed.building import built
from testbed.finding import fits_beside, look, version_to_use
from testbed.tool import Tool, ToolMissing, dotted


def make(tool: Tool) -> Path:
    """Download or build a program into the cache. Raises ToolMissing with the line that installs it."""
    check_skew(tool)
    return envtest.download(tool) or built(tool)


def check_skew(tool: Tool) -> None:
    """Whether what we would make fits the other programs of this machine. Raises ToolMissing if it does not."""
    if tool.skew is None or fits_beside(tool, tool.version):
        return
    other = tool.skew.other
    found = look(other)
    where = f" ({found.origin}: {found.path})" if found else ""
    raise ToolMissing(
        f"{tool.name} must be {tool.skew.rule}, which is {dotted(version_to_use(other))} here{where}, "
        f"and none is found. Put one beside it, or unset {tool.folder_variable}: "
        f"then version {dotted(tool.version)} of both is used"
    )
