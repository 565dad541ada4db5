"""`kubectl byoc support-bundle`: one file with what a diagnosis needs, without credentials."""

from pathlib import Path
from time import gmtime, strftime

import click

from .bundle_archive import Archive, listed, refuse_existing
from .bundle_mask import Scrubber
from .bundle_parts import Parts, Reader
from .durations import seconds_in
from .exit_codes import ExitCode
from .options import Target, over_numbers, targeted, with_livekit
from .output import as_yaml
from .terminal import show, show_table, tell, working


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
    path = Path(file or strftime("byoc-support-%Y%m%d-%H%M%S.tar.gz", gmtime(now_s)))
    refuse_existing(path, force=chosen["force"])
    archive, scrubber = Archive(), Scrubber(chosen["mask_numbers"], chosen["mask_names"])
    async with target.reached() as cluster:
        with working("reading"):
            parts = await Reader(cluster, target, archive, since_s).read()
    _fill(archive, parts, scrubber)
    archive.write(path, now_s, force=chosen["force"])
    show_table(("FILE", "BYTES"), listed(archive.files.items()))
    show(f"{path}: {len(archive.files)} files")
    if archive.errors:
        tell(f"{len(archive.errors)} parts are missing or cut; errors.txt in the bundle says which")
    tell("look at it before you send it: a log may hold what nobody foresaw")
    return ExitCode.OK


def _fill(archive: Archive, parts: Parts, scrubber: Scrubber) -> None:
    """Mask all parts and put them into the archive. Everything to mask is known before the first text is masked."""
    for phone in sorted(parts.phones):
        scrubber.know_number(phone)
    for kind, names in sorted(parts.names.items()):
        scrubber.know_names(kind, names)
    scrubber.hide(parts.hidden)
    for name, documents in parts.documents.items():
        archive.add(name, as_yaml(*(scrubber.value(each) for each in documents)))
    for name, lines in parts.texts.items():
        archive.add(name, "".join(f"{scrubber.text(line)}\n" for line in lines))
    archive.add("errors.txt", "".join(f"{scrubber.text(each)}\n" for each in archive.errors) or "nothing is missing\n")
