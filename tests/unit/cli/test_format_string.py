from __future__ import annotations

import pytest

from streamctl.records.format_string import FormatError, compile_format
from tests.unit.cli.columns import Batch


def written(text: str, batch: Batch) -> bytes:
    return compile_format(text)(batch)


def test_the_default_format_writes_values_as_lines() -> None:
    assert written("%s\\n", Batch([b"a", b"", b"c"])) == b"a\n\nc\n"


def test_every_token_is_written_from_its_column() -> None:
    batch = Batch([b"v0", b"v1"], keys=[b"k0", b"k1"], headers={1: [("a", b"1"), ("b", b"2")]})
    assert written("%t %p %o %T %k=%s %h|", batch) == (
        b"flights 3 40 1000 k0=v0 |flights 3 41 1001 k1=v1 a=1,b=2|"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%s", b"ab"),
        ("<%s>", b"<a><b>"),
        ("100%% %s;", b"100% a;100% b;"),
        ("%%b%s%%", b"%ba%%bb%"),
        ("%o,", b"40,41,"),
        ("%%%p", b"%3%3"),
        ("-", b"--"),
        ("%%", b"%%"),
        ("", b""),
        ("\\x41\\t%s\\0\\\\", b"A\ta\0\\A\tb\0\\"),
        ("%S %K ", b"1 -1 1 -1 "),
        ("\\x00%%%s", b"\0%a\0%b"),
    ],
)
def test_literals_escapes_and_single_tokens(text: str, expected: bytes) -> None:
    assert written(text, Batch([b"a", b"b"])) == expected


def test_bytes_that_are_not_utf8_come_out_as_they_are() -> None:
    assert written("%k:%s", Batch([b"\xff\x00"], keys=[b"\xfe%s"])) == b"\xfe%s:\xff\x00"


def test_a_null_key_or_value_is_written_as_nothing_and_has_length_minus_one() -> None:
    batch = Batch([None, b"v"], keys=[b"k", None])
    assert written("%k(%K)=%s(%S);", batch) == b"k(1)=(-1);(-1)=v(1);"


def test_a_tombstone_can_be_told_from_an_empty_value() -> None:
    write = compile_format("%k=%s;", null=b"NULL")
    assert write(Batch([None, b""], keys=[b"", None])) == b"=NULL;NULL=;"
    assert write(Batch([b"v"])) == b"NULL=v;"
    assert compile_format("%s\\n", null=b"-")(Batch([None, b""])) == b"-\n\n"


@pytest.mark.parametrize("text", ["%s", "%o %s", "x", "%k"])
def test_an_empty_batch_writes_nothing(text: str) -> None:
    assert written(text, Batch([])) == b""


@pytest.mark.parametrize(
    ("text", "names"), [("%q", "%q"), ("%", "tokens"), ("\\q", "escapes"), ("a\\", "escapes")]
)
def test_an_unknown_token_or_escape_is_refused_with_those_that_exist(text: str, names: str) -> None:
    with pytest.raises(FormatError, match=names.replace("\\", "\\\\")):
        compile_format(text)
