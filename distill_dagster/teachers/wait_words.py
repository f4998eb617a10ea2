"""The waits that an error's message names in words, and the spans and dates that fields and headers hold.

"Please try again in 7m12.5s"                     432.5 s
"请在3600秒后重试", "60초 후에 다시 시도"             3600 s, 60 s
"Réessayez dans 2 minutes"                        120 s
"Rate limit resets at 2026-12-01T00:00:00Z"       until then; also a date of HTTP, a time since 1970, "00:00 UTC"
"You used 30 seconds of audio"                    none: no word says that it is a wait
"""

import contextlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

CHARACTERS = 2000  # of a message that are searched
EPOCH_S, EPOCH_MS = 1e9, 1e12  # larger numbers are times since 1970, in seconds or milliseconds
UNITS = {  # in lower case
    0.001: r"ms|milliseconds?|毫秒|ミリ秒|밀리초",
    1.0: r"seconds?|secs?|s|sekunden?|sek|secondes?|segundos?|seg|secondi|секунд\w*|сек|秒[钟鐘]?|초",
    60.0: r"minutes?|mins?|m|minuten?|minutos?|minuti|минут\w*|мин|分[钟鐘]?|분",
    3600.0: r"hours?|hrs?|h|stunden?|heures?|horas?|час\w*|小[时時]|時間|시간",
    86_400.0: r"days?|d|tage?n?|jours?|d[ií]as?|giorni|дн\w+|天|日|일",
}
SPAN = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(UNITS.values())})(?![a-zа-яß-ÿ])")
_SPANS = rf"(?P<span>(?:{SPAN.pattern}[\s,]*+(?:(?:and|und|et|y|e)\s++)?)++)"  # possessive: linear
_DAY = (
    r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+\d{1,2}[ -][a-z]{3}[ -]\d{4} \d\d:\d\d:\d\d(?: (?:gmt|utc|[+-]\d{4}))?"
)
_ISO = r"\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?(?:z|utc|gmt|[+-]\d\d:?\d\d))?)?"
_CLOCK = r"\d\d:\d\d(?::\d\d)? ?(?:utc|gmt|z)\b|midnight (?:utc|gmt)"
_WORDS = r"(?:try|retry|again|wait|available|resets?|renews?|replenish\w*|refresh\w*|until)\b"
_OTHERS = (
    r"(?:warte\w*|wieder|erneut|nochmal\w*|réessa\w*|attend\w*|inténtelo|intent\w+|esper\w*|tent\w*|aguard\w*|riprova\w*"
    r"|повтор\w*|попробуй\w*|подожд\w*|等待|请等|お待ち|待って)"
)
SAID = (
    re.compile(rf"(?:{_WORDS}[^.\d]{{0,40}}?(?:in|after|for|within)?|retry[- ]after)\W{{0,3}}{_SPANS}"),
    re.compile(rf"{_SPANS}\s*(?:之?[后後]|以[后後]|이?후|뒤)"),
    re.compile(rf"{_OTHERS}[^.\d]{{0,40}}?{_SPANS}"),
)
AT = re.compile(  # a name such as m-2024-08-06 has no word for a time before it
    rf"(?:{_WORDS}|retry[- ]after)\D{{0,40}}?(?:(?<!\w)(?:at|on|after|by|is)|(?<=until)|(?<=after)|:|=)\s*\W?"
    rf"(?P<at>{_DAY}|{_ISO}|{_CLOCK}|\d{{10}}(?:\d{{3}})?\b)"
)


def said_s(message: str) -> float | None:
    """Seconds that a message asks to wait, None if it does not say."""
    text = message[:CHARACTERS].casefold()
    if found := next(filter(None, (pattern.search(text) for pattern in SAID)), None):
        return span_s(found["span"])
    at = AT.search(text)
    return (moment_s(at["at"]) or None) if at else None  # a moment that has passed says nothing


def span_s(text: str) -> float | None:
    """The seconds of a span such as 6m0s, None if the text does not begin with one."""
    lower = text.strip().casefold()
    if not SPAN.match(lower):
        return None
    return sum(float(count) * _unit_s(unit) for count, unit in SPAN.findall(lower))


def moment_s(text: str) -> float | None:
    """Seconds from now to a moment: a date, the next time that a clock in UTC shows it, or a time since 1970."""
    plain = text.strip().upper()
    if re.fullmatch(r"\d{10}|\d{13}", plain):
        return since_epoch_s(float(plain))
    if plain.isdigit():
        return None
    if re.fullmatch(_CLOCK, plain.casefold()):
        return _next_s("00:00" if plain.startswith("M") else plain[:5])
    iso = re.sub(r"\s*(?:UTC|GMT)$", "+00:00", re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", plain))
    for read, given in ((datetime.fromisoformat, iso), (parsedate_to_datetime, plain)):
        with contextlib.suppress(ValueError, OverflowError, TypeError, IndexError):
            at = read(given)
            return _until_s(at if at.tzinfo else at.replace(tzinfo=UTC))
    return None


def since_epoch_s(number: float) -> float:
    """Seconds from now to a time since 1970, in seconds or milliseconds."""
    return max(0.0, (number / 1000 if number > EPOCH_MS else number) - datetime.now(UTC).timestamp())


def _next_s(clock: str) -> float:
    """Seconds to the next time that a clock in UTC shows `HH:MM`."""
    now, (hour, minute) = datetime.now(UTC), map(int, clock.split(":"))
    at = now.replace(hour=hour % 24, minute=minute % 60, second=0, microsecond=0)
    return _until_s(at if at > now else at + timedelta(days=1))


def _until_s(at: datetime) -> float:
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _unit_s(unit: str) -> float:
    """The seconds of a unit in lower case."""
    return next(seconds for seconds, names in UNITS.items() if re.fullmatch(names, unit))
