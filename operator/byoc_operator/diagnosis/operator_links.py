"""Links of the chain: the operator's Deployment, its pods, its leader, its sweeps, and the namespaces it watches."""

from typing import Final

from .facts import OperatorSeen
from .found import Found, View, bad, ok, unknown

STALE_S: Final = 60.0
"""A Lease that was not renewed for so long has no living leader. It is renewed every few seconds, and the clock of
this machine may be some seconds fast."""

_SWEEPS_MISSED: Final = 3


def leads(operator: OperatorSeen) -> bool:
    """Whether somebody holds the Lease and renews it."""
    return bool(operator.leader) and operator.renewed_s is not None and operator.renewed_s < STALE_S


def deployed(view: View) -> Found:
    """Whether there is an operator."""
    operator = view.facts.operator
    if operator.deployment:
        return ok(f"Deployment {operator.namespace}/{operator.deployment} is there.")
    if leads(operator):
        says = f"No Deployment was found in the namespace {operator.namespace}, and the Lease is renewed all the same"
        return ok(f"{says}: the operator runs elsewhere, or has other labels.")
    if operator.deployment is None:
        return unknown(f"The operator cannot be looked at: {operator.why_unknown()}.", _WHERE)
    says = f"There is no operator in the namespace {operator.namespace}."
    return bad(says, f"Install it (README.md, Install). {_WHERE}")


_WHERE: Final = "--operator-namespace names another namespace."


def pods(view: View) -> Found:
    """Whether its pods run."""
    operator = view.facts.operator
    where = f"-n {operator.namespace}"
    if not operator.deployment:
        return unknown("No Deployment was found, so no pods are looked for.")
    if operator.ready_pods is None:
        return unknown(f"The operator's pods cannot be looked at: {operator.why_unknown()}.")
    said = f"{operator.ready_pods} of {operator.replicas} pods are ready"
    if operator.replicas == 0:
        return bad(
            "The Deployment wants no pods.", f"kubectl scale deployment {operator.deployment} {where} --replicas=2"
        )
    if operator.ready_pods == 0:
        reason = f" ({operator.waiting})" if operator.waiting else ""
        look = f"kubectl describe pods {where}; kubectl logs deployment/{operator.deployment} {where}"
        return bad(f"No pod of the operator is ready{reason}.", look)
    remedy = "" if operator.ready_pods >= operator.replicas else f"kubectl describe pods {where}"
    return ok(f"{said}.", remedy)


def leader(view: View) -> Found:
    """Whether one replica works: only the leader does."""
    operator = view.facts.operator
    lease = f"Lease {operator.namespace}/{operator.lease}"
    look = f"kubectl logs -n {operator.namespace} deployment/{operator.deployment or 'byoc-operator'}"
    if operator.leader is None:
        why = operator.unknown.get(lease, operator.why_unknown())
        if why == "there is none":
            return bad(f"There is no {lease}: no replica of the operator has begun to work.", look)
        return unknown(f"{lease} cannot be looked at: {why}.")
    if not operator.leader:
        return bad(f"Nobody holds the {lease}, so nobody looks after any number.", look)
    if operator.renewed_s is None:
        return unknown(f"{lease} does not say when it was renewed.")
    ago = _ago(operator.renewed_s)
    if operator.renewed_s >= STALE_S:
        return bad(f"The {lease} was last renewed {ago} ago: its leader {operator.leader} is gone.", look)
    return ok(f"{operator.leader} leads, and renewed the {lease} {ago} ago.")


def swept(view: View) -> Found:
    """Whether drift is looked for."""
    operator = view.facts.operator
    if operator.swept_s is None:
        why = operator.unknown.get("metrics", "the leader's /metrics cannot be read from here")
        return unknown(f"When the last sweep ended is not known: {why}.")
    late = operator.swept_s > _SWEEPS_MISSED * operator.sweeps_every_s + STALE_S
    says = f"The last good sweep ended {_ago(operator.swept_s)} ago; one is due every {operator.sweeps_every_s:.0f} s."
    if late:
        return bad(says, f"kubectl logs -n {operator.namespace} {operator.leader or ''} says why sweeps fail.")
    return ok(says)


def watched(view: View) -> Found:
    """Whether it looks after the number's namespace."""
    operator, number = view.facts.operator, view.facts.number
    if number is None:
        return unknown("")
    if operator.watches is None:
        return unknown(f"The operator's settings cannot be looked at: {operator.why_unknown()}.")
    if operator.watches:
        return ok(f"The operator watches the namespace {number.key.namespace}.")
    says = f"The operator does not watch the namespace {number.key.namespace}."
    return bad(says, "Add it to the operator's setting BYOC_NAMESPACES (Helm: namespaces), and give it the rights.")


def _ago(seconds: float) -> str:
    whole = max(0, round(seconds))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
