from __future__ import annotations

import json

import pytest

from streamctl.invocation import Invocation
from streamctl.output import Table, counted, emit, render

TABLE = Table(("NAME", "SIZE", "ISR"), [("flights", 6, [1, 2]), ("t", 12_000, []), ("none", None, [3])])


def test_columns_are_aligned_numbers_to_the_right_without_trailing_spaces() -> None:
    assert render(TABLE).splitlines() == [
        "NAME      SIZE  ISR",
        "flights      6  1,2",
        "t        12000  -",
        "none         -  3",
    ]


def test_an_empty_table_is_its_heading() -> None:
    assert render(Table(("NAME", "ID"), [])) == "NAME  ID"


def test_json_is_data_and_tables_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    emit(Invocation(output="json"), {"name": "Zürich"}, TABLE)
    assert json.loads(capsys.readouterr().out) == {"name": "Zürich"}
    emit(Invocation(), {}, TABLE, TABLE)
    assert capsys.readouterr().out == f"{render(TABLE)}\n\n{render(TABLE)}\n"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 partitions"), (1, "1 partition"), (2_000, "2000 partitions")]
)
def test_things_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "partition") == text
