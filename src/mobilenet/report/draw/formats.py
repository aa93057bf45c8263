"""Formatting of numbers for people; None becomes an en dash."""

import re

__all__ = [
    "NOTHING",
    "capitalised",
    "count",
    "duration",
    "epochs",
    "known",
    "narrow",
    "percent",
    "short",
    "size",
    "spaced",
]

NOTHING = "–"

_THIN = "\u202f"
"""A narrow no-break space between number and unit."""


def percent(share: float | None, digits: int = 1) -> str:
    """0.8363 -> '83.6 %'."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}{_THIN}%"


def known(share: float | None) -> str:
    """As `percent`, with 'not known' for None."""
    return "not known" if share is None else percent(share)


def spaced(text: str) -> str:
    """'3% of 9 photos' -> '3 % of 9 photos': sentences written for the terminal, spaced as by `percent`."""
    return re.sub(r"(?<=\d)%", f"{_THIN}%", text)


def narrow(text: str) -> str:
    """'3 % of 9 photos' with the narrow space that `percent` uses."""
    return re.sub(r"(?<=\d) %", f"{_THIN}%", text)


def capitalised(text: str) -> str:
    """'top-1 accuracy' -> 'Top-1 accuracy'; a first word with capitals of its own, such as mAP, is kept."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].islower() else text


def count(number: float | None) -> str:
    """76524800 -> '76.5 M'; 950 -> '950'."""
    if number is None:
        return NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{_three_digits(number / limit)}{_THIN}{unit}"
    return f"{number:g}"


def size(bytes_: float | None) -> str:
    """5326368 -> '5.33 MB' (1 MB = 1,000,000 bytes)."""
    if bytes_ is None:
        return NOTHING
    return f"{count(bytes_)}B" if bytes_ >= 1e3 else f"{bytes_:.0f}{_THIN}B"


def duration(seconds: float | None) -> str:
    """432.4 -> '7 min 12 s'; 3.42 -> '3.4 s'."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f}{_THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{_THIN}h {minutes}{_THIN}min"
    return f"{minutes}{_THIN}min {rest}{_THIN}s" if minutes else f"{rest}{_THIN}s"


def epochs(number: int) -> str:
    """1 -> '1 epoch'."""
    return f"{number} epoch{'s' * (number != 1)}"


def short(text: str, most: int = 24) -> str:
    """Shorten a long name in the middle, since both ends tell names apart."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[-(most - 1 - head) :]}"


def _three_digits(number: float) -> str:
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"
