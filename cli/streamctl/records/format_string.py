"""The format strings of `consume -f`, with kcat's tokens, compiled once and applied to whole batches.

Knows the columns of a batch; must not know where they came from or where the bytes go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Protocol


class Columns(Protocol):
    """What a format string reads of a batch: a record is the same index in each column."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def keys(self) -> Sequence[bytes | None] | None: ...

    @property
    def values(self) -> Sequence[bytes | None]: ...

    @property
    def offsets(self) -> Sequence[int]: ...

    @property
    def timestamps_ms(self) -> Sequence[int]: ...

    @property
    def headers(self) -> Mapping[int, Sequence[tuple[str, bytes]]]: ...


Column = Iterable[object]
Formatter = Callable[[Columns], bytes]


class FormatError(ValueError):
    """The format string has a token or escape that is not known."""


@dataclass(frozen=True, slots=True)
class Token:
    """One `%x`: how bytes formatting writes it, and the column it stands for."""

    conversion: bytes
    column: Callable[[Columns], Column]
    meaning: str


def _filled(column: Sequence[bytes | None], null: bytes) -> Sequence[bytes]:
    return [null if item is None else item for item in column] if None in column else column  # type: ignore[return-value]


def _values(null: bytes) -> Callable[[Columns], Column]:
    return lambda batch: _filled(batch.values, null)


def _keys(null: bytes) -> Callable[[Columns], Column]:
    def column(batch: Columns) -> Column:
        return repeat(null, len(batch.values)) if batch.keys is None else _filled(batch.keys, null)

    return column


def _lengths(column: Iterable[bytes | None]) -> Column:
    return [-1 if item is None else len(item) for item in column]


def _key_lengths(batch: Columns) -> Column:
    return repeat(-1, len(batch.values)) if batch.keys is None else _lengths(batch.keys)


def _headers(batch: Columns) -> Column:
    if not batch.headers:
        return repeat(b"", len(batch.values))
    return [_header_text(batch.headers.get(index, ())) for index in range(len(batch.values))]


def _header_text(headers: Sequence[tuple[str, bytes]]) -> bytes:
    return b",".join(b"%b=%b" % (name.encode(), value) for name, value in headers)


TOKENS: Mapping[str, Token] = {
    "s": Token(b"%b", _values(b""), "value"),
    "k": Token(b"%b", _keys(b""), "key"),
    "t": Token(b"%b", lambda batch: repeat(batch.topic.encode(), len(batch.values)), "topic"),
    "p": Token(b"%d", lambda batch: repeat(batch.partition, len(batch.values)), "partition"),
    "o": Token(b"%d", lambda batch: batch.offsets, "offset"),
    "T": Token(b"%d", lambda batch: batch.timestamps_ms, "timestamp, ms since 1970-01-01 UTC"),
    "h": Token(b"%b", _headers, "headers as name=value,name=value"),
    "S": Token(b"%d", lambda batch: _lengths(batch.values), "length of the value in bytes, -1 for null"),
    "K": Token(b"%d", _key_lengths, "length of the key in bytes, -1 for null"),
}
_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "e": b"\x1b", "\\": b"\\"}
_PIECE = re.compile(
    r"%(?P<token>.?)|\\x(?P<hex>[0-9A-Fa-f]{2})|\\(?P<escape>.?)|(?P<text>[^%\\]+)", re.DOTALL
)


def _tokens(null: bytes) -> Mapping[str, Token]:
    """Those that write `null` for a null key or value."""
    columns = {"s": _values(null), "k": _keys(null)}
    return {**TOKENS, **{name: replace(TOKENS[name], column=each) for name, each in columns.items()}}


def compile_format(text: str, *, null: bytes = b"") -> Formatter:
    """A function from a batch to the bytes of all its records.

    Tokens are those of TOKENS and `%%`; escapes are `\\n \\t \\r \\0 \\e \\\\ \\xHH`. For a null key or
    value `null` is written, by default nothing, as kcat does. Raises FormatError.
    """
    literals, tokens = _parse(text, _tokens(null))
    if not tokens:
        return lambda batch: literals[0] * len(batch.values)
    if len(tokens) == 1 and tokens[0].conversion == b"%b":
        return _joined(literals[0], tokens[0], literals[1])
    return _interpolated(literals, tokens)


def _parse(text: str, known: Mapping[str, Token]) -> tuple[list[bytes], list[Token]]:
    """The tokens, and the literals before, between and after them: one more."""
    literals, tokens = [b""], []
    for piece in _PIECE.finditer(text):
        name = piece["token"]
        if name is None or name == "%":
            literals[-1] += _literal(piece)
        elif name in known:
            literals.append(b"")
            tokens.append(known[name])
        else:
            names = " ".join(f"%{token}" for token in known)
            raise FormatError(f"'%{name}' is not a token; the tokens are {names} and %%")
    return literals, tokens


def _literal(piece: re.Match[str]) -> bytes:
    if piece["token"] is not None:
        return b"%"
    if piece["text"] is not None:
        return piece["text"].encode()
    if piece["hex"] is not None:
        return bytes.fromhex(piece["hex"])
    escape = piece["escape"]
    if escape not in _ESCAPES:
        raise FormatError(f"'\\{escape}' is not an escape; the escapes are \\n \\t \\r \\0 \\e \\\\ \\xHH")
    return _ESCAPES[escape]


def _joined(before: bytes, token: Token, after: bytes) -> Formatter:
    """One column of bytes, the common case: a join does the whole batch in C."""
    between = after + before

    def write(batch: Columns) -> bytes:
        return before + between.join(token.column(batch)) + after if batch.values else b""  # type: ignore[arg-type]

    return write


def _interpolated(literals: Sequence[bytes], tokens: Sequence[Token]) -> Formatter:
    escaped = [literal.replace(b"%", b"%%") for literal in literals]
    template = escaped[0] + b"".join(
        token.conversion + literal for token, literal in zip(tokens, escaped[1:], strict=True)
    )

    def write(batch: Columns) -> bytes:
        rows = zip(*(token.column(batch) for token in tokens), strict=True)
        return b"".join(map(template.__mod__, rows))

    return write
