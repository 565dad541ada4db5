"""Durations as people write them: `30s`, `5m`, `2h`, `1d`, or seconds alone."""

from .exit_codes import ExitCode, Refused

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DIGITS = 9


def seconds_in(option: str, text: str) -> int:
    """The seconds of a duration. Raises `Refused` that names the option."""
    unit = text[-1:] if text[-1:] in _UNITS else ""
    amount = text.removesuffix(unit)
    if not (amount.isascii() and amount.isdigit() and len(amount) <= _DIGITS):
        raise Refused(f"{option}: write a whole number and s, m, h or d, such as 30s or 2h", ExitCode.USAGE)
    return int(amount) * _UNITS[unit or "s"]


def told(seconds: float) -> str:
    """A duration for people, as `kubectl get` shows an age: `45s`, `12m`, `5h`, `3d`."""
    for unit, least in (("d", 2 * 86_400), ("h", 3 * 3600), ("m", 2 * 60)):
        if seconds >= least:
            return f"{seconds // _UNITS[unit]:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
