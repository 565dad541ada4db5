"""Links of the chain: LiveKit is reached, takes the key, has its SIP service, and is new enough."""

from ..api.conditions import REMEDIES, Reason, Verdict
from .facts import LiveKitSeen, Unseen
from .found import Found, View, bad, ok, unknown

_PASSING = frozenset({Reason.LIVEKIT_UNAVAILABLE, Reason.LIVEKIT_RATE_LIMITED})


def _problem(view: View) -> Verdict | None:
    livekit = view.facts.livekit
    return livekit.problem if isinstance(livekit, LiveKitSeen) else None


def reached(view: View) -> Found:
    """Whether anything answers at its URL."""
    livekit = view.facts.livekit
    if isinstance(livekit, Unseen):
        return unknown(f"LiveKit cannot be asked: {livekit.why}.")
    problem = livekit.problem
    if problem is None or problem.reason not in _PASSING:
        return ok(f"{livekit.host} answers (key from {livekit.source}).")
    if problem.reason is Reason.LIVEKIT_RATE_LIMITED:
        return unknown(problem.message, "Ask again in a minute.")
    if livekit.inside:
        says = f"{livekit.host} is a name inside the cluster, and this machine does not reach it."
        return unknown(says, "Forward its port with kubectl port-forward, and set LIVEKIT_URL to the local end.")
    return bad(f"{livekit.host}: {problem.message}", "See that livekit-server runs and that LIVEKIT_URL is right.")


def same(view: View) -> Found:
    """Whether it is the LiveKit that the operator writes to."""
    livekit = view.facts.livekit
    if isinstance(livekit, Unseen):
        return unknown("LiveKit cannot be asked.")
    if livekit.same:
        return ok("LIVEKIT_URL is the same here and in the operator's settings.")
    if not livekit.operators:
        says = f"{livekit.host} was asked, as LIVEKIT_URL says here; which one the operator uses is not known."
        return unknown(says, "Compare LIVEKIT_URL with the operator's settings.")
    says = f"{livekit.host} was asked, as LIVEKIT_URL says here, but the operator uses {livekit.operators}."
    remedy = "Unset LIVEKIT_URL to ask the operator's. If it is the forwarded port of the same LiveKit, all is well."
    return unknown(says, remedy)


def key(view: View) -> Found:
    """Whether it takes the API key."""
    livekit, problem = view.facts.livekit, _problem(view)
    if not isinstance(livekit, LiveKitSeen):
        return unknown("LiveKit cannot be asked.")
    if problem is not None and problem.reason is Reason.LIVEKIT_UNAUTHORIZED:
        says = f"{problem.message} The key comes from {livekit.source}."
        return bad(says, REMEDIES[problem.reason][1])
    if problem is not None and problem.reason in _PASSING:
        return unknown("LiveKit does not answer.")
    return ok(f"LiveKit takes the key from {livekit.source}.")


def sip_service(view: View) -> Found:
    """Whether it keeps trunks and rules."""
    livekit, problem = view.facts.livekit, _problem(view)
    if not isinstance(livekit, LiveKitSeen):
        return unknown("LiveKit cannot be asked.")
    if problem is None or problem.reason is Reason.LIVEKIT_TOO_OLD:
        remedy = ""
        says = f"LiveKit has listed {len(livekit.objects)} trunks and rules."
        if livekit.unreadable:
            says = f"{says} {livekit.unreadable} of them cannot be read completely."
            remedy = "Delete there what nobody needs; `lk sip` shows it."
        return ok(says if problem is None else "LiveKit answers for SIP.", remedy)
    if problem.reason in _PASSING or problem.reason is Reason.LIVEKIT_UNAUTHORIZED:
        return unknown("LiveKit does not answer.")
    return bad(problem.message, REMEDIES[problem.reason][1])


def version(view: View) -> Found:
    """Whether it has all the calls that the operator makes."""
    livekit, problem = view.facts.livekit, _problem(view)
    if not isinstance(livekit, LiveKitSeen):
        return unknown("LiveKit cannot be asked.")
    missing = livekit.too_old
    if problem is not None and problem.reason is Reason.LIVEKIT_TOO_OLD:
        missing = problem.message
    if missing:
        return bad(missing, REMEDIES[Reason.LIVEKIT_TOO_OLD][1])
    if problem is not None:
        return unknown("LiveKit has not told its lists.")
    return ok("LiveKit knows the calls that the operator makes (1.13.2 or newer).")
