"""`kubectl byoc support-bundle`: one file with what a diagnosis needs, without credentials."""

from collections.abc import Callable, Iterable
from pathlib import Path
from time import gmtime, strftime
from typing import Final, TypeVar

import click

from ..core.fields import CREDENTIAL_PATHS
from .bundle_archive import Archive, listed, refuse_existing
from .bundle_mask import Scrubber
from .bundle_parts import Parts, Reader
from .bundle_sought import SHORTEST
from .bundle_texts import LONGEST
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .formats import Format
from .options import Target, over_numbers, targeted, with_livekit
from .output import as_yaml
from .terminal import show, show_table, tell, working

MASKING_S: Final = 60.0
"""How long the masking of all files may take."""

NOTE: Final = (
    "The fields of credentials are in no file. The values of the Secrets that could be read are replaced by *** in "
    f"all texts. A value of fewer than {SHORTEST} characters is not: ordinary words have it in them, and *** in the "
    "place of each would tell the value. Behind a name such as password= it is replaced all the same. A line of "
    f"more than {LONGEST} characters is not looked for: no credential that a number can use has one. Nor is an "
    "ordinary word, unless a number uses it or its name is like password."
)

_Item = TypeVar("_Item")
_Masked = TypeVar("_Masked")


@click.command(short_help="Write what a diagnosis needs into one file, without credentials.")
@click.option("-o", "--output-file", "file", type=click.Path(dir_okay=False), help="The file; else one with the time.")
@click.option("--since", default="1h", show_default=True, help="How old the log may be: 30m, 2h, 1d.")
@click.option("--mask-numbers", is_flag=True, help="Write number-1, number-2, … for phone numbers.")
@click.option("--mask-names", is_flag=True, help="Write name-1, namespace-2, … for names.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@over_numbers
@with_livekit
@targeted
async def support_bundle(target: Target, file: str | None, since: str, **chosen: bool) -> int:
    """Write numbers, Events, the operator's log, metrics and settings, and LiveKit's lists into one tar.gz.

    Credentials are masked. What could not be read stands in errors.txt. Look at the file before you send it.

    \b
    Examples:
      kubectl byoc support-bundle -n voice
      kubectl byoc support-bundle -A --mask-numbers --mask-names -o bundle.tar.gz
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    now_s, since_s = target.outside.clock(), max(1, seconds_in("--since", since))
    if file in tuple(Format):
        raise Refused(f"-o names the file here; for a file of this name: -o ./{file}", ExitCode.USAGE)
    path = Path(file or strftime("byoc-support-%Y%m%d-%H%M%S.tar.gz", gmtime(now_s)))
    refuse_existing(path, force=chosen["force"])
    archive, scrubber = Archive(), Scrubber(chosen["mask_numbers"], chosen["mask_names"])
    async with target.reached() as cluster:
        with working("reading"):
            parts = await Reader(cluster, target, archive, since_s).read()
    fill(archive, parts, scrubber, target.outside.clock)
    archive.write(path, now_s, force=chosen["force"])
    show_table(("FILE", "BYTES"), listed(archive.files.items()))
    show(f"{path}: {len(archive.files)} files")
    if archive.errors:
        tell(f"{len(archive.errors)} parts are missing or cut; errors.txt in the bundle says which")
    if parts.sought.passed_over:
        tell(f"{parts.sought.passed_over} values of Secrets were not looked for in texts; manifest.yaml says why")
    tell("look at it before you send it: a log may hold what nobody foresaw")
    return ExitCode.OK


def fill(archive: Archive, parts: Parts, scrubber: Scrubber, clock: Callable[[], float]) -> None:
    """Mask all parts and put them into the archive. Everything to mask is known before the first text is masked.

    What is not masked when the time is over stays out: nothing gets into the archive unmasked.
    """
    until_s = clock() + MASKING_S

    def over() -> bool:
        return clock() > until_s

    known, read = _made_known(parts, scrubber, over), len(archive.errors)

    def masked(name: str, items: Iterable[_Item], mask: Callable[[_Item], _Masked]) -> list[_Masked] | None:
        found: list[_Masked] = []
        for each in items:
            if not known or over():
                archive.missing(name, f"the masking of all files takes longer than {MASKING_S:.0f} s")
                return None
            found.append(mask(each))
        return found

    for name, documents in parts.documents.items():
        values = masked(name, documents, scrubber.value)
        if values is not None:
            archive.add(name, as_yaml(*values))
    for name, lines in parts.texts.items():
        texts = masked(name, lines, lambda line: f"{scrubber.text(line)}\n")
        if texts is not None:
            archive.add(name, "".join(texts))
    archive.add("manifest.yaml", as_yaml(_manifest(parts, archive)))
    errors = archive.errors if known else archive.errors[read:]  # without what an API server said
    archive.add("errors.txt", "".join(f"{scrubber.text(each)}\n" for each in errors) or "nothing is missing\n")


def _made_known(parts: Parts, scrubber: Scrubber, over: Callable[[], bool]) -> bool:
    """Tell the scrubber everything to mask; False if the time was over before."""
    for phone in sorted(parts.phones):
        scrubber.know_number(phone)
    for kind, names in sorted(parts.names.items()):
        scrubber.know_names(kind, names)
    return scrubber.hide(parts.sought.texts, over)


def _manifest(parts: Parts, archive: Archive) -> dict[str, object]:
    """What is in the bundle, and what is masked in it."""
    return {
        "files": {name: len(raw) for name, raw in sorted(archive.files.items())},
        "fieldsNeverCopied": sorted(CREDENTIAL_PATHS),
        **parts.sought.manifest(),
        "note": NOTE,
    }
