from __future__ import annotations

import pytest

from streamkeep_common import errors
from streamkeep_common.errors import (
    BY_CODE,
    NotLeaderError,
    StreamkeepError,
    TimedOutError,
    UnavailableError,
    UnknownServerError,
    UnknownTopicError,
    from_proto,
    from_rpc,
    raise_if_error,
    to_proto,
)
from streamkeep_common.seams import RpcError, Status
from streamkeep_proto.v1 import errors_pb2
from streamkeep_proto.v1.errors_pb2 import ErrorCode, LeaderHint

CODES = [code for code in ErrorCode.values() if code != errors_pb2.NONE]


def test_every_code_has_exactly_one_class_named_after_it() -> None:
    assert sorted(BY_CODE) == sorted(CODES)
    taxonomy = [kind for kind in StreamkeepError.__subclasses__() if kind in vars(errors).values()]
    assert len(taxonomy) == len(CODES)
    for code, error in BY_CODE.items():
        words = "".join(word.title() for word in ErrorCode.Name(code).split("_"))
        assert error.__name__ == words.removesuffix("Error") + "Error"
        assert getattr(errors, error.__name__) is error


@pytest.mark.parametrize("code", CODES)
def test_every_error_says_what_to_do_in_one_sentence(code: ErrorCode.ValueType) -> None:
    advice = BY_CODE[code].advice
    assert advice.endswith(".")
    assert advice[0].isupper()
    assert str(BY_CODE[code]("topic 'flights' is on fire")) == f"topic 'flights' is on fire. {advice}"
    assert str(BY_CODE[code]()) == advice


def test_a_message_that_ends_as_a_sentence_gets_no_second_full_stop() -> None:
    assert str(UnknownTopicError("did you mean t?")).startswith("did you mean t? Check")
    assert str(UnknownTopicError("No.")).startswith("No. Check")


@pytest.mark.parametrize("code", CODES)
def test_an_error_survives_the_wire(code: ErrorCode.ValueType) -> None:
    sent = BY_CODE[code]("partition 3 of flights")
    received = from_proto(to_proto(sent))
    assert type(received) is type(sent)
    assert str(received) == str(sent)
    assert received.leader is None


def test_the_leader_hint_survives_the_wire() -> None:
    hint = LeaderHint(broker_id=2, address="b2:7201", leader_epoch=9)
    assert from_proto(to_proto(NotLeaderError(leader=hint))).leader == hint


def test_the_wire_message_tells_a_client_of_any_language_what_to_do() -> None:
    assert UnknownTopicError.advice in to_proto(UnknownTopicError("no topic 'x'")).message


def test_a_code_that_is_not_known_is_a_server_error_that_is_not_retried() -> None:
    error = from_proto(errors_pb2.Error(code=999, message="news from the future"))  # type: ignore[arg-type]
    assert type(error) is UnknownServerError
    assert not error.retriable
    assert "news from the future" in str(error)


def test_an_absent_error_is_success() -> None:
    raise_if_error(errors_pb2.Error())


def test_a_present_error_is_raised() -> None:
    with pytest.raises(UnknownTopicError, match="no topic 'x'"):
        raise_if_error(errors_pb2.Error(code=errors_pb2.UNKNOWN_TOPIC, message="no topic 'x'"))


@pytest.mark.parametrize("status", Status)
def test_every_status_of_a_call_becomes_an_error_of_ours(status: Status) -> None:
    error = from_rpc(RpcError(status, "the line went dead"))
    assert isinstance(error, StreamkeepError)
    assert "the line went dead" in str(error)


def test_a_broken_connection_may_be_tried_again() -> None:
    assert type(from_rpc(RpcError(Status.UNAVAILABLE, ""))) is UnavailableError
    assert type(from_rpc(RpcError(Status.DEADLINE_EXCEEDED, ""))) is TimedOutError
    assert UnavailableError.retriable
    assert TimedOutError.retriable


def test_what_resending_cannot_mend_is_not_retriable() -> None:
    never = {
        "INVALID_BATCH",
        "BATCH_TOO_LARGE",
        "PRODUCER_FENCED",
        "INVALID_TIMESTAMP",
        "CLOSED",
        "CORRUPT_DATA",
    }
    always = {"NOT_LEADER", "SHUTTING_DOWN", "DISK_FULL", "OFFSET_NOT_AVAILABLE", "CORRUPT_BATCH"}
    retriable = {ErrorCode.Name(code) for code, error in BY_CODE.items() if error.retriable}
    assert always <= retriable
    assert not never & retriable
