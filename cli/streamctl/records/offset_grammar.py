"""The offset grammar of `consume -O`: where to start in each partition, and where to stop.

    start | end        the log start; the end, for what comes from now on
    N                  an offset
    -N                 the last N records of each partition
    @TIME              the first record at or after a time: ms since 1970, 2013-01-31, 2013-01-31T08:00:00Z,
                       or before now: @-90s, @-1h30m, @-2d. A date or duration may stand alone: 1h30m
    A:B                from A up to, not including, B; either may be left out (start, end)

Pure: the time comes in, positions come out; finding a position's offset is the caller's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from streamkeep_common.limits import MAX_TIMESTAMP_MS

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d{1,18})(ms|[smhdw])")
_CLOCK_BEFORE = re.compile(r"T\d\d(:\d\d)?$|T[\d:.]+[+-]\d\d$")
_CLOCK_AFTER = re.compile(r"\d\d(?!\d)")
_PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\d.*|(\d+(ms|[smhdw]))+")
_NAMES = {"start": "start", "beginning": "start", "earliest": "start", "end": "end", "latest": "end"}
MAX_OFFSET = 2**63 - 1


class OffsetSyntaxError(ValueError):
    """The text is not in the grammar; the message says what is."""


class Kind(Enum):
    """What a position is counted from."""

    START = "start"
    END = "end"
    OFFSET = "offset"
    LAST = "last"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in every partition: `value` is an offset, a count of records, or ms since 1970-01-01 UTC."""

    kind: Kind
    value: int = 0


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Where to start and, when reading is to stop by itself, where to stop (exclusive)."""

    start: Position
    stop: Position | None = None


def parse_offsets(text: str, *, now_ms: int) -> OffsetRange:
    """Read the grammar above. Raises OffsetSyntaxError."""
    first, colon, last = _split(text.strip())
    if not colon:
        return OffsetRange(_position(first, now_ms))
    return _range(_position(first or "start", now_ms), _position(last or "end", now_ms), text)


def parse_span(start: str, until: str | None, *, now_ms: int) -> OffsetRange:
    """As `start:until`; if `until` is None, `start` may be a whole range. Raises OffsetSyntaxError."""
    wanted = parse_offsets(start, now_ms=now_ms)
    if until is None:
        return wanted
    stop = parse_offsets(until, now_ms=now_ms)
    if wanted.stop is not None or stop.stop is not None:
        raise OffsetSyntaxError("the range A:B says where to stop, and so does --until: give one")
    return _range(wanted.start, stop.start, f"{start}:{until}")


def since(text: str) -> str:
    """What `--since` says, in this grammar: nothing but a time, so that a number is one, too."""
    text = text.strip()
    return text if _PLAIN_TIME.fullmatch(text) or text.startswith("@") else f"@{text}"


def _range(start: Position, stop: Position, text: str) -> OffsetRange:
    if start.kind is stop.kind and start.kind in (Kind.OFFSET, Kind.TIME) and start.value > stop.value:
        raise OffsetSyntaxError(f"the range '{text}' ends before it starts")
    return OffsetRange(start, stop)


def _split(text: str) -> tuple[str, str, str]:
    """At the colon of a range; those inside `T08:00:00-05:00` belong to the time."""
    for match in re.finditer(":", text):
        before, after = text[: match.start()], text[match.end() :]
        if not (_CLOCK_BEFORE.search(before) and _CLOCK_AFTER.match(after)):
            return before, ":", after
    return text, "", ""


def _position(text: str, now_ms: int) -> Position:
    if text in _NAMES:
        return Position(Kind(_NAMES[text]))
    if text.startswith("@"):
        return Position(Kind.TIME, _time_ms(text[1:], now_ms))
    if _PLAIN_TIME.fullmatch(text):
        return Position(Kind.TIME, _time_ms(f"-{text}" if _is_duration(text) else text, now_ms))
    if re.fullmatch(r"-?\d{1,19}", text) and abs(int(text)) <= MAX_OFFSET:
        return Position(Kind.LAST, -int(text)) if text.startswith("-") else Position(Kind.OFFSET, int(text))
    raise OffsetSyntaxError(
        f"'{text}' is not an offset: use start, end, N, -N (the last N), @TIME, @-1h, or a range A:B"
    )


def _time_ms(text: str, now_ms: int) -> int:
    """Within what a record's time can be: what is before 1970 is before any record."""
    time_ms = _said_ms(text, now_ms)
    if time_ms > MAX_TIMESTAMP_MS:
        raise OffsetSyntaxError(f"'@{text}' is too late: no record is of after {MAX_TIMESTAMP_MS} ms")
    return max(time_ms, 0)


def _said_ms(text: str, now_ms: int) -> int:
    if re.fullmatch(r"\d{1,19}", text):
        return int(text)
    if text.startswith("-"):
        return now_ms - duration_ms(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OffsetSyntaxError(
            f"'@{text}' is not a time: use @1357034400000 (ms), @2013-01-31, @2013-01-31T08:00:00Z or @-1h"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000)


def _is_duration(text: str) -> bool:
    return bool(text) and not _DURATION.sub("", text)


def duration_ms(text: str) -> int:
    """Milliseconds of `90s`, `1h30m`, `250ms`, `2d`. Raises OffsetSyntaxError."""
    if not _is_duration(text):
        raise OffsetSyntaxError(
            f"'{text}' is not a duration: use a number with ms, s, m, h, d or w, as in 1h30m"
        )
    return sum(int(number) * _UNIT_MS[unit] for number, unit in _DURATION.findall(text))


def needs_time(position: Position | None) -> bool:
    """Whether the broker must be asked for the offset of a time."""
    return position is not None and position.kind is Kind.TIME


def resolve(position: Position, *, log_start: int, end: int, time_offset: int | None) -> int:
    """The offset of a position in one partition.

    `time_offset` answers a TIME position: the first record at or after it, None when there is none, which
    means the end. An OFFSET is taken as it stands, so that one out of range is an error and not a skip.
    """
    match position.kind:
        case Kind.START:
            return log_start
        case Kind.END:
            return end
        case Kind.LAST:
            return max(log_start, end - position.value)
        case Kind.TIME:
            return end if time_offset is None else time_offset
        case Kind.OFFSET:
            return position.value
