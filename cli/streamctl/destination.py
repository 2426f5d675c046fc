"""Where `produce` sends records, and what it says of a place that is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from streamctl.failures import CommandError, ExitCode, as_command_error
from streamctl.records.routes import Target, targets_of
from streamctl.records.rows import Headers, Rows
from streamkeep import Producer
from streamkeep.errors import InvalidTopicNameError, UnknownTopicError

MAX_REFUSALS = 1_000
"""Places remembered as not there, so that each is looked for once."""


REPARTITION = "--repartition lets the key of each record decide, -p sends all to one"
"""To who copies to a topic of fewer partitions: no line of it is bad."""


class Refusal(NamedTuple):
    """Why a record cannot go where it is to go, what helps (if anything but another line does), and with
    which exit code that ends."""

    text: str
    hint: str | None = None
    code: int = ExitCode.FAILED


class Destination:
    """`topic` and `partition` win over what records say; with no topic each must name its own. `headers` are
    put behind those of each record. `find` raises CommandError for a topic that does not exist.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[object]],
        *,
        topic: str | None,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        self._find = find
        self._topic = topic
        self._partition = partition
        self._headers = headers
        self._known: set[str] = set() if topic is None else {topic}
        self._refusals: dict[Target, Refusal] = {}

    def check(self, count: int) -> None:
        """Raises CommandError if all records are to go to one partition, and `topic` has only `count`."""
        if self._partition is not None and self._partition >= count:
            raise CommandError(_too_few(self._topic, self._partition, count), ExitCode.NOT_FOUND)

    def sole_target(self, rows: Rows) -> Target | None:
        """Where all of them go, if no record has a say."""
        if self._topic is None or (self._partition is None and rows.partitions is not None):
            return None
        return Target(self._topic, self._partition)

    def targets(self, rows: Rows) -> list[Target]:
        return targets_of(rows, self._topic, self._partition)

    def headers_of(self, rows: Rows) -> Sequence[Headers] | None:
        """As they are sent."""
        if not self._headers:
            return rows.headers
        if rows.headers is None:
            return [self._headers] * len(rows)
        return [[*headers, *self._headers] for headers in rows.headers]

    async def refusals(self, producer: Producer, targets: Sequence[Target]) -> Mapping[Target, Refusal]:
        """Those that are not there, and why."""
        if len(self._refusals) > MAX_REFUSALS:
            self._refusals.clear()
        refused = {}
        for target in dict.fromkeys(targets):
            refusal = self._refusals.get(target) or await self._refusal(producer, target)
            if refusal is not None:
                refused[target] = self._refusals[target] = refusal
        return refused

    async def _refusal(self, producer: Producer, target: Target) -> Refusal | None:
        if not target.topic:
            return Refusal("the field 'topic' is missing, and the command names no TOPIC")
        try:
            if target.topic not in self._known:
                await self._find(target.topic)
                self._known.add(target.topic)
            count = await producer.partitions_for(target.topic)
        except CommandError as error:
            return Refusal(error.message, "", error.exit_code)
        except (UnknownTopicError, InvalidTopicNameError) as error:
            return Refusal(str(error), "", as_command_error(error).exit_code)
        if target.partition is None or target.partition < count:
            return None
        hint = "" if target.partition == self._partition else REPARTITION
        return Refusal(_too_few(target.topic, target.partition, count), hint, ExitCode.NOT_FOUND)


def _too_few(topic: str | None, partition: int, count: int) -> str:
    return f"topic '{topic}' has partitions 0 to {count - 1}, not {partition}"
