"""Reading query parameters: whatever is not understood is refused with a sentence, never ignored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from django.utils import timezone
from rest_framework.request import Request

from api.errors import BadParameters

LONGEST_VALUE = 2_000
MOST_IN_A_LIST = 100


def refuse_unknown(request: Request, known: Iterable[str], *, versioned: bool) -> None:
    """Refuse parameters nobody reads, given twice, or too long to be meant.

    A misspelt filter that was ignored would answer with all rows and look like a result.
    """
    known = sorted(known)
    wrong = {}
    for name, values in request.query_params.lists():
        if name == "known_at" and not versioned:
            wrong[name] = (
                "This resource keeps no versions (its rows are written once), so known_at means nothing here."
            )
        elif name not in known:
            wrong[name] = f"Unknown parameter {name!r}."
        elif len(values) > 1:
            wrong[name] = (
                f"{name} is given {len(values)} times; give it once (lists: {name}__in=a,b where offered)."
            )
        elif len(values[0]) > LONGEST_VALUE or values[0].count(",") >= MOST_IN_A_LIST:
            wrong[name] = (
                f"{name} is too long: at most {LONGEST_VALUE} characters and {MOST_IN_A_LIST} items."
            )
        elif "\x00" in values[0]:
            wrong[name] = f"{name} contains a NUL character."
    if wrong:
        unknown = any(message.startswith("Unknown") for message in wrong.values())
        raise BadParameters(wrong, code="unknown_parameter" if unknown else "bad_parameter", known=known)


def known_at(request: Request) -> datetime | None:
    """The instant asked for, aware; None where the standing records are meant.

    A date alone means the end of that day in UTC. The future is refused: nobody knows yet what will be known.
    """
    text = request.query_params.get("known_at")
    if text is None:
        return None
    at = _instant(text)
    if at > timezone.now():
        over = " The day is not over yet: give an instant." if len(text) == len("2026-03-01") else ""
        raise BadParameters(
            {"known_at": f"known_at {text} lies in the future, where nothing is known yet.{over}"}
        )
    return at


def today() -> date:
    """Today in UTC."""
    return datetime.now(UTC).date()


def on(request: Request) -> date:
    """The day asked about; today (UTC) unless the reader names one."""
    return day(request, "on") or today()


def day(request: Request, name: str) -> date | None:
    """A day given as a parameter; None where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2026-03-01"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadParameters({name: f"{name} {text!r} is no day that exists: write 2024-06-01."})


def whole_number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A whole number given as a parameter, within its bounds; ``default`` where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 10 and least <= int(text) <= most:
        return int(text)
    raise BadParameters({name: f"{name} {text!r} is not a whole number from {least} to {most}."})


def _instant(text: str) -> datetime:
    try:
        if len(text) == len("2026-03-01"):
            return datetime.combine(date.fromisoformat(text), time.max, tzinfo=UTC)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadParameters(
        {
            "known_at": f"known_at {text!r} is not an instant: write 2026-03-01T00:00:00Z, or 2026-03-01 for the end of that day."
        }
    )
