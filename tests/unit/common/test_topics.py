from __future__ import annotations

import pytest

from streamkeep_common.errors import InvalidTopicNameError
from streamkeep_common.topics import check_topic_name


@pytest.mark.parametrize("name", ["flights", "a", "A.b_c-9", "__consumer_offsets", "...", "x" * 249])
def test_names_that_kafka_allows_are_allowed(name: str) -> None:
    check_topic_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "x" * 250, "a b", "a/b", "../etc", "ä", "a\n", "a\0b", "a:b", "\N{FULLWIDTH DIGIT ONE}"],
)
def test_names_that_kafka_refuses_are_refused(name: str) -> None:
    with pytest.raises(InvalidTopicNameError):
        check_topic_name(name)


def test_the_error_names_the_wrong_characters() -> None:
    with pytest.raises(InvalidTopicNameError, match="'!' '/'"):
        check_topic_name("a/b!c/d")
