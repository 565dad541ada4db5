"""What it means that an agent did not join its room, and what to change where. No I/O."""

from collections.abc import Sequence

from .check import Check, State
from .sip_answers import Meaning

AGENT_ANSWERS = "Agent answers"


def why_absent(agent: str, within_s: float, failures: Sequence[str], *, taken: bool, unnamed: bool = False) -> Meaning:
    """Why an agent did not join within so many seconds.

    `failures`: what LiveKit says of its jobs. `taken`: whether a worker has taken a job. `unnamed`: whether a worker
    that is registered without a name has taken the same job.
    """
    if failures:
        return Meaning(
            f"LiveKit could not start the agent {agent}: {failures[0]}.",
            "Look at the worker's log and load; start more workers if all are at their limit.",
        )
    if taken:
        return Meaning(
            f"A worker took the job of the agent {agent}, but did not join the room within {within_s:g} s.",
            "Look at the worker's log: the job crashed or is slow to start, or the worker cannot reach LiveKit's URL.",
        )
    if unnamed:
        return Meaning(
            f"No worker is registered under the name {agent}, but one is registered without a name.",
            f"Give the worker the agent name {agent}: LiveKit sends no number's calls to workers without a name.",
        )
    return Meaning(
        f"No worker took the job within {within_s:g} s: none is registered under the name {agent}, or all are at their "
        "load limit. LiveKit does not say which.",
        f"Start a worker with the agent name {agent}, for this LiveKit and its API key; compare with the name in the "
        "worker's log. If it runs under this name, look at its load and start more workers.",
    )


def joined(agent: str, after_s: float) -> Check:
    """The agent has joined."""
    return Check(AGENT_ANSWERS, State.OK, f"The agent {agent} joined a room after {after_s:.1f} s.")


def absent(why: Meaning) -> Check:
    """The agent has not joined."""
    return Check(AGENT_ANSWERS, State.BAD, why.says, why.remedy)


def not_rung(why: str) -> Check:
    """The agent could not be rung."""
    return Check(AGENT_ANSWERS, State.UNKNOWN, why)
