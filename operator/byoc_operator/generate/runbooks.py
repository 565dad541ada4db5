"""The part of docs/runbooks.md that follows from the code: a section for each reason. The rest is written by hand."""

from collections.abc import Mapping
from pathlib import Path

from ..api.conditions import LIVEKIT_AS_A_WHOLE, REMEDIES, Reason

PAGE = "docs/runbooks.md"
_HEADING = "## Reasons\n"
_TEXT = f"""{_HEADING}
`make generate` writes what follows; changes made here are lost. `byoc_numbers{{reason="…"}}` counts the numbers with a
reason, `kubectl get bpn -A` lists them, and the Ready condition has a message.
"""


def runbook_files(root: Path) -> Mapping[str, str]:
    """The page below `root` with the reasons as they are. Raises FileNotFoundError if there is no page."""
    by_hand = (root / PAGE).read_text(encoding="utf-8").partition(_HEADING)[0]
    return {PAGE: by_hand + "\n".join([_TEXT, *(_section(reason) for reason in REMEDIES)])}


def _section(reason: Reason) -> str:
    when, what = REMEDIES[reason]
    look = "the message of the Ready condition."
    if reason in LIVEKIT_AS_A_WHOLE:
        look = "`liveKit` in the body of `/readyz`, `byoc_livekit_trouble`, the log."
    return f"### {reason}\n\n**Means:** {when}\n**Look:** {look}\n**Do:** {what}\n"
