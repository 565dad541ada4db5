"""The options of a run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import click

FOREIGN_SECRETS = 400
FOREIGN_FROM_NUMBERS = 1000
"""Smaller runs are for a quick look; making 100 MB of Secrets would be most of them."""

_POSITIVE = click.IntRange(min=1)
_WHOLE = click.IntRange(min=0)


@dataclass(frozen=True, slots=True)
class Options:
    """`pairs`: how often bare client and operator are compared; `foreign_secrets`: unlabelled ones of 250 kB."""

    numbers: int
    numbers_per_secret: int
    pairs: int
    policy: bool
    foreign_secrets: int


def with_options(run: Callable[[Options], None]) -> Callable[..., None]:
    """A function of the options, for a click command."""

    @click.option("--numbers", type=_POSITIVE, default=1000, show_default=True, metavar="N", help="Phone numbers.")
    @click.option(
        "--numbers-per-secret",
        type=_POSITIVE,
        default=10,
        show_default=True,
        metavar="N",
        help="Numbers that share a Secret.",
    )
    @click.option(
        "--pairs",
        type=_POSITIVE,
        default=1,
        show_default=True,
        metavar="K",
        help="How often bare client and operator are measured; the table has medians.",
    )
    @click.option("--policy", is_flag=True, help="Let the admission policy set the finalizer.")
    @click.option(
        "--foreign-secrets",
        type=_WHOLE,
        metavar="N",
        help=f"Secrets of others; default: {FOREIGN_SECRETS} from {FOREIGN_FROM_NUMBERS} numbers on, else 0.",
    )
    @functools.wraps(run)
    def asked(*, numbers: int, numbers_per_secret: int, pairs: int, policy: bool, foreign_secrets: int | None) -> None:
        foreign = foreign_secrets
        if foreign is None:
            foreign = FOREIGN_SECRETS if numbers >= FOREIGN_FROM_NUMBERS else 0
        run(Options(numbers, numbers_per_secret, pairs, policy, foreign))

    return asked
