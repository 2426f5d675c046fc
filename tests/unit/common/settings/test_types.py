from __future__ import annotations

from pathlib import Path

import pytest

from streamkeep_common.settings.types import (
    Address,
    AddressList,
    Choice,
    Directory,
    DirectoryList,
    Integer,
    SettingType,
    Text,
    duration,
    size,
)

DURATION = duration(0, 10**12, special=[(-1, "for ever")])
SIZE = size(0, 2**50)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Integer(1, 10), "7", 7),
        (DURATION, "1500", 1_500),
        (DURATION, "1500ms", 1_500),
        (DURATION, "30s", 30_000),
        (DURATION, "5 m", 300_000),
        (DURATION, "2h", 7_200_000),
        (DURATION, "7d", 604_800_000),
        (DURATION, "-1", -1),
        (SIZE, "4096", 4_096),
        (SIZE, "10B", 10),
        (SIZE, "64KiB", 65_536),
        (SIZE, "1GiB", 2**30),
        (SIZE, "3TiB", 3 * 2**40),
        (Choice(("fsync", "os")), "os", "os"),
        (Text(), "eu-1 a", "eu-1 a"),
        (Text(), "", ""),
        (Address(), "broker-1.example.org:7201", "broker-1.example.org:7201"),
        (Address(), "[::1]:7201", "[::1]:7201"),
        (Address(lowest_port=0), "0.0.0.0:0", "0.0.0.0:0"),
        (Address(optional=True), "", ""),
        (AddressList(), "a:1, b:2", ("a:1", "b:2")),
        (Directory(), "/data", Path("/data")),
        (DirectoryList(), "/a,/b", (Path("/a"), Path("/b"))),
    ],
)
def test_a_text_becomes_its_value_and_the_canonical_text_the_same(
    kind: SettingType, text: str, value: object
) -> None:
    assert kind.parse(text) == value
    assert kind.parse(kind.format(value)) == value
    assert kind.format(kind.parse(kind.format(value))) == kind.format(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Integer(1, 10), "0"),
        (Integer(1, 10), "11"),
        (Integer(1, 10), "1.5"),
        (Integer(1, 10), "1e1"),
        (Integer(1, 10), "\N{ARABIC-INDIC DIGIT THREE}"),
        (Integer(1, 10), "5s"),
        (Integer(1, 10), ""),
        (Integer(1, 10), "9" * 5_000),
        (DURATION, "-2"),
        (DURATION, "7w"),
        (DURATION, "7D"),
        (DURATION, "1h30m"),
        (DURATION, "1GiB"),
        (SIZE, "1GB"),
        (SIZE, "-1"),
        (SIZE, "9999TiB"),
        (Choice(("fsync", "os")), "FSYNC"),
        (Text(5), "abcdef"),
        (Text(), "a\nb"),
        (Address(), "7201"),
        (Address(), "host"),
        (Address(), "host:"),
        (Address(), ":7201"),
        (Address(), "host:0"),
        (Address(), "host:65536"),
        (Address(), "http://host:1"),
        (Address(), "::1:7201"),
        (Address(), ""),
        (AddressList(), ""),
        (AddressList(), "a:1,,b:2"),
        (Directory(), ""),
        (Directory(), "a\0b"),
        (Directory(), "a\rb"),
        (DirectoryList(), "0\r/"),
        (DirectoryList(), "./ a"),
        (DirectoryList(), "/a,/a"),
        (DirectoryList(), "/a,"),
    ],
)
def test_a_text_that_is_not_allowed_says_what_is(kind: SettingType, text: str) -> None:
    with pytest.raises(ValueError, match="it takes"):
        kind.parse(text)


def test_special_values_say_what_they_mean() -> None:
    assert "-1 = for ever" in DURATION.description
