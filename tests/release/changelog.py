"""Reads CHANGELOG.md, which has the form of Keep a Changelog."""


class NoSection(LookupError):
    """The changelog has no section for a version; the message names the version."""


def section(changelog: str, version: str) -> str:
    """What the changelog says of a version, without its heading. Raises NoSection."""
    for part in changelog.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        if heading.startswith(f"[{version}]"):
            return text.strip()
    raise NoSection(f"CHANGELOG.md has no section [{version}]")
