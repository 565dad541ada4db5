"""The table in docs/carriers.md, which is made of the built-in presets. The rest of the page is written by hand."""

from collections.abc import Mapping
from pathlib import Path

from ..api.built_in_carriers import BUILT_IN
from ..api.carriers import Preset
from .markdown import table

PAGE = "docs/carriers.md"
_TITLE = "Built-in carriers"
_HEADING = f"## {_TITLE}\n"
_TEXT = (
    "`make generate` writes what follows; changes made here are lost. *?*: no source says it. *Calls out by*: how the "
    "carrier recognises the calls that we send."
)
_COLUMNS = ("carrier", "termination hosts", "calls out by", "numbers", "TLS", "SRTP")
_UNKNOWN = "?"
_ABILITY = {True: "yes", False: "no", None: _UNKNOWN}


def carrier_files(root: Path) -> Mapping[str, str]:
    """The page below `root` with the presets as they are. Raises FileNotFoundError if there is no page."""
    by_hand = (root / PAGE).read_text(encoding="utf-8").partition(_HEADING)[0]
    rows = [_row(preset) for preset in BUILT_IN.presets]
    sections = [_section(preset) for preset in BUILT_IN.presets]
    return {PAGE: by_hand + "\n\n".join([table(_TITLE, _TEXT, _COLUMNS, rows), *sections]) + "\n"}


def _row(preset: Preset) -> tuple[str, ...]:
    hosts = ", ".join(f"`{'*' if host.startswith('.') else ''}{host}`" for host in preset.hosts)
    proofs = ", ".join(preset.authentication) or _UNKNOWN
    form = preset.number_format or _UNKNOWN
    return preset.carrier, hosts, proofs, form, _ABILITY[preset.tls], _ABILITY[preset.srtp]


def _section(preset: Preset) -> str:
    ranges = ", ".join(f"`{each}`" for each in preset.signalling_ranges)
    sources = ", ".join(f"<{each}>" if each.startswith("http") else each for each in preset.sources)
    told = [preset.notes]
    told += [f"Calls come from {ranges}." if ranges else "Addresses: none found, so anybody may call."]
    if preset.codecs:
        told += [f"Codecs: {', '.join(f'`{each}`' for each in preset.codecs)}."]
    if preset.username_header:
        told += [f"The operator adds the header `{preset.username_header}` with the user name."]
    if not preset.answers_challenge:
        told += ["`inbound.authentication: Digest` is refused."]
    told += [f"Source, read {preset.read}: {sources}."]
    return "\n".join([f"### {preset.carrier}", "", *(f"- {each}" for each in told if each)])
