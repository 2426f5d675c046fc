"""`partition elect`: whom it names, what counts as a failure, and what may lose records."""

from __future__ import annotations

from streamctl.failures import ExitCode
from streamkeep_common.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    to_proto,
)
from streamkeep_proto.v1.coordinator_pb2 import ElectionOutcome, PartitionInfo
from tests.unit.cli.fake_admin import FakeAdmin, streamctl


def elected(partition: int = 0) -> ElectionOutcome:
    return ElectionOutcome(topic="t", partition=partition, from_leader=2, to_leader=1)


def test_an_election_that_is_not_needed_is_no_failure_and_one_that_fails_is(admin: FakeAdmin) -> None:
    already = ElectionOutcome(topic="t", partition=1, error=to_proto(ElectionNotNeededError("leads already")))
    admin.elections = [elected(), already]
    result = streamctl("partition", "elect", "t")
    assert result.exit_code == 0 and "Elected 1 leader." in result.stderr
    assert "leads already" in result.stdout
    nobody = ElectionOutcome(
        topic="t", partition=1, error=to_proto(EligibleLeadersNotAvailableError("nobody lives"))
    )
    admin.elections = [nobody]
    result = streamctl("partition", "elect", "t:1")
    assert result.exit_code == ExitCode.FAILED and "nobody lives" in result.stderr


def test_a_topic_stands_for_all_its_partitions(admin: FakeAdmin) -> None:
    admin.topics = {"t": [PartitionInfo(partition=0), PartitionInfo(partition=1)]}
    streamctl("partition", "elect", "t", "u:7")
    streamctl("partition", "elect")
    assert [each[1] for each in admin.asked] == [[("t", 0), ("t", 1), ("u", 7)], []]


def test_records_are_lost_only_by_name_and_with_yes(admin: FakeAdmin) -> None:
    assert streamctl("partition", "elect", "--unclean", "--yes").exit_code == ExitCode.USAGE
    refused = streamctl("partition", "elect", "--unclean", "t:0")
    assert refused.exit_code == ExitCode.USAGE and "--yes" in refused.stderr and not admin.asked
    admin.elections = [elected()]
    assert streamctl("partition", "elect", "--unclean", "t:0", "--yes").exit_code == 0
    assert admin.asked == [("elect", [("t", 0)], True, False)]
