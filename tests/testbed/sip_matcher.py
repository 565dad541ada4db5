"""LiveKit's own matcher as a process, which answers for thousands of calls a second without a server."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO

from google.protobuf.json_format import MessageToDict
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo

from testbed import tools


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call as the program reads it; `source` is an IP address."""

    called: str
    caller: str = ""
    host: str = ""
    source: str = ""
    pin: str = ""
    noPin: bool = False  # noqa: N815 - as in the program


@dataclass(frozen=True, slots=True)
class Answer:
    """What LiveKit does: IDs of trunk and rule, empty for none; `result`: ACCEPT, REQUEST_PIN, DROP or REFUSED."""

    trunk: str
    rule: str
    result: str
    error: str


class SipMatcher:
    """A matcher that runs; see `running_matcher`."""

    def __init__(self, asks: IO[str], answers: IO[str]) -> None:
        self._asks = asks
        self._answers = answers

    def ask(
        self, trunks: Sequence[SIPInboundTrunkInfo], rules: Sequence[SIPDispatchRuleInfo], calls: Sequence[AskedCall]
    ) -> list[Answer]:
        """What LiveKit does with each call, if it holds exactly these, in this order."""
        asked = {
            "trunks": [MessageToDict(trunk) for trunk in trunks],
            "rules": [MessageToDict(rule) for rule in rules],
            "calls": [asdict(call) for call in calls],
        }
        self._asks.write(json.dumps(asked) + "\n")
        self._asks.flush()
        return [Answer(**each) for each in json.loads(self._answers.readline())]


@contextmanager
def running_matcher() -> Iterator[SipMatcher]:
    """A matcher of its own; it ends with the block. Raises ToolMissing."""
    program = tools.find(tools.SIP_MATCHER)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield SipMatcher(process.stdin, process.stdout)
