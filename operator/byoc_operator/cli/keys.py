"""`kubectl byoc keys`: rotate, list, re-seal and retire the operator's sealing keys."""

from collections.abc import Sequence

import click

from ..sealing.sealed import KeyRing
from ..sealing.uses import Use
from .exit_codes import ExitCode, failure
from .key_uses import StoredKeys
from .options import Target, targeted, with_output
from .output import Listing, show_listing
from .terminal import show, tell


@click.group()
def keys() -> None:
    """The operator's sealing keys: rotate, list, re-seal, retire.

    \b
    A rotation, in this order; no number leaves Ready:
      kubectl byoc keys rotate     a new key seals from now on, the old ones still open
      kubectl byoc keys reseal     the Secrets in the cluster; those that Git owns are sealed anew in Git
      kubectl byoc keys list       nothing uses an old key any more?
      kubectl byoc keys retire     drops the old keys; right after `rotate` it waits a moment

    The Secrets are those with the label byoc.talkifai.dev/sip-credentials=true and those that a number names.
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph


@keys.command(short_help="Put a new key first.")
@targeted
async def rotate(target: Target) -> int:
    """Put a new key first: it seals from now on, the older ones still open. No restart is needed."""
    async with target.reached() as cluster:
        ring = await StoredKeys(cluster.api, target.operator_namespace).change(KeyRing.rotated)
    tell(f"new sealing key {ring.fingerprints()[0]}; back up the Secret, then run `kubectl byoc keys reseal`")
    return 0


@keys.command("list", short_help="Show fingerprints, and who needs an older key.")
@with_output
@targeted
async def list_keys(target: Target) -> int:
    """Show fingerprints of the keys, never keys, and which Secrets still need an older one."""
    async with target.reached() as cluster:
        stored = StoredKeys(cluster.api, target.operator_namespace)
        ring = await stored.ring()
        uses = await stored.uses(ring)
    show_listing(_listing(ring, uses), target.output)
    lost = [use.label for use in uses if "" in use.keys.values()]
    for each in ring.fingerprints()[1:]:
        _name(f"sealed with the older key {each}", [use.label for use in uses if each in use.keys.values()])
    _name("no key opens, or sealed for another use", lost)
    for where, why in stored.unread.items():
        tell(f"{where}: {why}", head="not looked at:")
    return 0


def _listing(ring: KeyRing, uses: Sequence[Use]) -> Listing:
    """The keys, newest first, and who is sealed with which; last what no key opens."""
    items: list[dict[str, object]] = []
    for position, each in enumerate([*ring.fingerprints(), ""]):
        secrets = [use.label for use in uses if each in use.keys.values()]
        does = "seals and opens" if position == 0 else "opens" if each else ""
        if each or secrets:
            items.append({"fingerprint": each, "does": does, "count": len(secrets), "secrets": secrets})
    rows = [(str(item["fingerprint"]) or "none", str(item["does"]), str(item["count"])) for item in items]
    return Listing("KeyList", ("KEY", "DOES", "SECRETS"), rows, items)


@keys.command(short_help="Seal with the newest key, in place.")
@targeted
async def reseal(target: Target) -> int:
    """Seal with the newest key whatever Secret is sealed with an older one, in place.

    Where Git owns a Secret it would put the old value back: seal that one anew in Git with `kubectl byoc seal`.
    """
    async with target.reached() as cluster:
        outcome = await StoredKeys(cluster.api, target.operator_namespace).reseal()
    for label in outcome.done:
        show(label)
    for label, why in outcome.failed.items():
        tell(f"{label}: {why}", head="not re-sealed:")
    tell(f"re-sealed {len(outcome.done)}, failed {len(outcome.failed)}")
    return failure(lacks_a_right=outcome.lacks_a_right) if outcome.failed else ExitCode.OK


@keys.command(short_help="Drop every key but the newest.")
@click.option("--even-if-used", is_flag=True, help="Give up what is still sealed with an older key, at once.")
@targeted
async def retire(target: Target, *, even_if_used: bool) -> int:
    """Drop every key but the newest. Refused (exit code 4) while a Secret needs one of them.

    Not seen are Secrets that neither have the label nor are named by a number, and what only Git, a backup or a file
    holds: seal that anew before.
    """

    async def wait(seconds: float) -> None:
        tell(
            f"the keys changed a moment ago: waiting {seconds:.0f} s, until whatever the operator still sealed with an "
            "older key is stored"
        )
        await target.outside.sleep(seconds)

    async with target.reached() as cluster:
        stored = StoredKeys(cluster.api, target.operator_namespace, target.outside.clock)
        before, after = await stored.retire(wait, even_if_used=even_if_used)
    gone = [each for each in before.fingerprints() if each not in after.fingerprints()]
    tell(f"retired {', '.join(gone)}" if gone else "there is only one key; nothing to retire")
    return 0


def _name(what: str, labels: list[str]) -> None:
    if labels:
        tell(f"{what}: {', '.join(labels)}")
