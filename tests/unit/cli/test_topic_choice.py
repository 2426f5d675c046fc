from __future__ import annotations

import pytest

from streamctl.failures import CommandError, ExitCode
from streamctl.topic_choice import TopicChoice

COUNTS = {"flights": 2, "log-a": 1, "log-b": 3, "other": 1}


def chosen(choice: TopicChoice) -> list[str]:
    return list(map(str, choice.places(COUNTS)))


def test_topics_are_named_or_match_a_pattern_and_come_once() -> None:
    assert chosen(TopicChoice(["flights", "flights"])) == ["flights-0", "flights-1"]
    assert chosen(TopicChoice(["log-*", "log-a"])) == ["log-a-0", "log-b-0", "log-b-1", "log-b-2"]
    assert chosen(TopicChoice(["[fo]*r"])) == ["other-0"]
    assert chosen(TopicChoice(["g-a", "^oth"], is_regex=True)) == ["log-a-0", "other-0"]
    assert chosen(TopicChoice(["nothing*"])) == []


def test_partitions_are_those_that_exist_of_what_a_pattern_matches() -> None:
    assert chosen(TopicChoice(["log-*"], partitions=[0, 2, 2])) == ["log-a-0", "log-b-0", "log-b-2"]


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        (TopicChoice(["fligths", "log-*"]), "topic 'fligths' does not exist; did you mean 'flights'?"),
        (TopicChoice(["flights"], partitions=[2]), "topic 'flights' has no partition 2: it has 0 to 1"),
    ],
)
def test_what_was_named_has_to_be_there(choice: TopicChoice, complaint: str) -> None:
    with pytest.raises(CommandError) as raised:
        choice.check(COUNTS)
    assert raised.value.message == complaint and raised.value.exit_code == ExitCode.NOT_FOUND


def test_a_pattern_may_match_nothing_yet_and_must_be_one() -> None:
    choice = TopicChoice(["log-?", "x*"])
    choice.check({})
    assert choice.has_patterns and choice.matches("log-c") and not choice.matches("log-cc")
    with pytest.raises(CommandError, match="is not a regular expression"):
        TopicChoice(["("], is_regex=True)
