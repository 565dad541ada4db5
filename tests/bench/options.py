"""What a run is asked for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

FOREIGN_SECRETS = 400
FOREIGN_FROM_NUMBERS = 1000
"""Smaller runs are for a quick look; making 100 MB of Secrets would be most of them."""


@dataclass(frozen=True, slots=True)
class Options:
    """`pairs`: how often bare client and operator are compared; `foreign_secrets`: unlabelled ones of 250 kB."""

    numbers: int
    numbers_per_secret: int
    pairs: int
    policy: bool
    foreign_secrets: int


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command line; ends the process with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the operator against a bare client.")
    parser.add_argument("--numbers", type=_positive, default=1000, metavar="N", help="phone numbers (1000)")
    parser.add_argument(
        "--numbers-per-secret", type=_positive, default=10, metavar="N", help="numbers that share a Secret (10)"
    )
    parser.add_argument("--pairs", type=_positive, default=1, metavar="K", help="repeat bare, operator; medians (1)")
    parser.add_argument("--policy", action="store_true", help="let the admission policy set the finalizer")
    parser.add_argument(
        "--foreign-secrets",
        type=_whole,
        metavar="N",
        help=f"Secrets of others ({FOREIGN_SECRETS} from {FOREIGN_FROM_NUMBERS} numbers on, else 0)",
    )
    given = parser.parse_args(arguments)
    foreign = given.foreign_secrets
    if foreign is None:
        foreign = FOREIGN_SECRETS if given.numbers >= FOREIGN_FROM_NUMBERS else 0
    return Options(given.numbers, given.numbers_per_secret, given.pairs, given.policy, foreign)


def _positive(text: str) -> int:
    return _at_least(1, text)


def _whole(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} on")
    return int(text)
