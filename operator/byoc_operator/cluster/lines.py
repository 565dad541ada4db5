"""Lines out of a stream of bytes, none of them longer in memory than `MAX_LINE`."""

from collections.abc import AsyncIterator

MAX_LINE = 64 * 1024
"""Bytes: eight times the longest line of the operator's log. What is beyond is dropped."""


async def lines_of(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines, without their ends; the last one may lack its end."""
    line, begun = bytearray(), False
    async for part in parts:
        *ended, rest = part.split(b"\n")
        for each in ended:
            line += each[: MAX_LINE - len(line)]
            yield line.decode("utf-8", "replace")
            line, begun = bytearray(), False
        line += rest[: MAX_LINE - len(line)]
        begun = begun or bool(rest)
    if begun:
        yield line.decode("utf-8", "replace")
