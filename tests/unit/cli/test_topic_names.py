from __future__ import annotations

import pytest

from streamctl.failures import CommandError
from streamctl.topic_names import matching
from tests.unit.cli.fake_admin import FakeAdmin, fake_cluster, streamctl

KNOWN = ["flights", "test-1", "test-2", "weather"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["test-*", "flights"], ["test-1", "test-2", "flights"]),
        (["test-1", "test-*"], ["test-1", "test-2"]),
        (["test-[2-9]"], ["test-2"]),
        (["*"], KNOWN),
    ],
)
def test_names_and_patterns_find_each_topic_once(names: list[str], found: list[str]) -> None:
    assert matching(names, KNOWN) == found


@pytest.mark.parametrize(
    ("name", "says"),
    [("fligths", "did you mean 'flights'?"), ("zzz", "topic list"), ("zz*", "no topic is named like 'zz*'")],
)
def test_what_names_nothing_is_an_error_with_the_next_step(name: str, says: str) -> None:
    with pytest.raises(CommandError, match="topic") as raised:
        matching([name], KNOWN)
    assert says in raised.value.message


def test_a_pattern_deletes_what_it_matches_and_a_dry_run_says_so_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = FakeAdmin(topics={name: [] for name in KNOWN})
    fake_cluster(admin, monkeypatch)
    dry = streamctl("topic", "delete", "test-*", "--dry-run")
    assert "test-1" in dry.stdout and "Would delete 2 topics." in dry.stderr
    streamctl("topic", "delete", "test-*", "--yes")
    assert admin.asked == [("delete", ["test-1", "test-2"], True), ("delete", ["test-1", "test-2"], False)]


def test_a_name_that_is_wrong_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = FakeAdmin(topics={name: [] for name in KNOWN})
    fake_cluster(admin, monkeypatch)
    assert streamctl("topic", "delete", "test-1", "test-9", "--yes").exit_code == 3
    assert admin.asked == []
