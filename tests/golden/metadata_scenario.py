"""Runs a scenario script of the metadata machine and writes down all that it does.

A trace is the records that the command commits, and its answer. See `_COMMANDS` and `placement_commands` for
the commands, and `scripts` for what a script looks like.
"""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.errors import StreamkeepError
from streamkeep_common.image import ClusterImage, PartitionImage, apply
from streamkeep_coordinator.metadata import Decision, brokers, create
from streamkeep_coordinator.metadata.alter_partitions import alter_partitions
from streamkeep_coordinator.metadata.change import alter_topic_settings, delete_topics
from streamkeep_coordinator.metadata.cluster import found_cluster
from streamkeep_coordinator.metadata.elect_leaders import elect_leaders
from streamkeep_coordinator.metadata.election_kinds import ElectionKind, elections
from streamkeep_coordinator.metadata.last_resort import LastResort, elect_winners
from streamkeep_coordinator.metadata.registration import register_broker
from streamkeep_coordinator.metadata.relocation import relocate_replicas
from streamkeep_coordinator.metadata.replica_reports import report_replicas
from streamkeep_coordinator.metadata.upgrade import supported_feature_level, upgrade_features
from streamkeep_proto.v1.coordinator_pb2 import (
    AddPartitionsRequest,
    AllocateProducerIdsResponse,
    AlterPartition,
    AlterPartitionsRequest,
    AlterTopicSettings,
    AlterTopicSettingsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    ElectLeadersRequest,
    InSyncMember,
    NewTopic,
    PartitionCount,
    RegisterBroker,
    ReplicaReport,
    ReportReplicasRequest,
    UpgradeFeaturesRequest,
    UpgradeFeaturesResponse,
)
from streamkeep_proto.v1.coordinator_pb2 import ElectionKind as ElectionKinds
from streamkeep_proto.v1.errors_pb2 import ErrorCode
from streamkeep_proto.v1.metadata_pb2 import MetadataRecord
from tests.golden import placement_commands
from tests.golden.scenario_text import (
    member_text,
    outcome_text,
    padded,
    partition_text,
    quorum_of,
    short,
    value_text,
)
from tests.golden.scripts import traced
from tests.unit.common.image.records import first_entry_at_level_1

Options = dict[str, str]


def run_script(script: str) -> str:
    """The script with the trace that it has now."""
    return traced(script, Scenario().run)


def _split(texts: str) -> list[bytes]:
    return [padded(each) for each in texts.split(",") if each]


class Scenario:
    """The image, and one method a command."""

    def __init__(self) -> None:
        self.image = ClusterImage()
        self.last_resort = LastResort()
        self._topics = 0

    def run(self, line: str) -> str:
        verb, *words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        names = [word for word in words if "=" not in word]
        try:
            if verb in placement_commands.COMMANDS:
                lines = self.commit(placement_commands.COMMANDS[verb](self.image, names, options))
            else:
                lines = _COMMANDS[verb](self, names, options)
        except StreamkeepError as error:
            lines = [f"{ErrorCode.Name(error.code)}: {error.message}"]
        return "".join(f"{line}\n" for line in lines)

    def commit(self, decision: Decision[object]) -> list[str]:
        lines = []
        if decision.records:
            before = self.image
            self.image, _ = apply(before, decision.records, before.index + 1)
            lines += [
                f"[{self.image.index}] {line}" for record in decision.records for line in self._record(record)
            ]
            lines += [
                f"election of {each.leader} for {each.partition} is {each.kind.value}"
                for each in elections(before, self.image, decision.records)
                if each.kind is not ElectionKind.CLEAN
            ]
        return lines + [f"=> {line}" for line in self._answer(decision.answer)]

    def begin(self, names: list[str], options: Options) -> list[str]:
        return self.commit(Decision(first_entry_at_level_1(names[0]), None))

    def found(self, names: list[str], options: Options) -> list[str]:
        return self.commit(found_cluster(names[0], quorum_of(names[1:])))

    def quorum(self, names: list[str], options: Options) -> list[str]:
        """What membership changes write; which of them are allowed is Raft's."""
        record = quorum_of(names, int(options.get("cluster_epoch", 1)))
        return self.commit(Decision((MetadataRecord(quorum=record),), None))

    def upgrade(self, names: list[str], options: Options) -> list[str]:
        request = UpgradeFeaturesRequest(
            level=int(names[0]) if names else 0, validate_only=options.get("validate_only") == "yes"
        )
        return self.commit(upgrade_features(self.image, request))

    def supported(self, names: list[str], options: Options) -> list[str]:
        return [f"level {self.image.feature_level}, supported {supported_feature_level(self.image)}"]

    def register(self, names: list[str], options: Options) -> list[str]:
        low, _, high = options.get("features", "1-3").partition("-")
        request = RegisterBroker(
            broker_id=int(names[0]),
            incarnation_id=padded(options.get("incarnation", "a")),
            cluster_id=options.get("cluster", ""),
            address=options.get("address", f"host-{names[0]}:7201"),
            rack=options.get("rack", ""),
            directory_ids=_split(options.get("dirs", f"dir-{names[0]}")),
            boot_id=options.get("boot", ""),
            clean_start=options.get("clean") == "yes",
            min_feature_level=int(low),
            max_feature_level=int(high),
        )
        return self.commit(register_broker(self.image, request))

    def unfence(self, names: list[str], options: Options) -> list[str]:
        return self.commit(brokers.unfence_broker(self.image, *self._epoch(names, options)))

    def fence(self, names: list[str], options: Options) -> list[str]:
        return self.commit(brokers.fence_broker(self.image, *self._epoch(names, options)))

    def leave(self, names: list[str], options: Options) -> list[str]:
        leaving = [int(each) for each in options.get("with", "").split(",") if each]
        key = self._epoch(names, options)
        return self.commit(brokers.release_replicas(self.image, *key, leaving=leaving))

    def relocate(self, names: list[str], options: Options) -> list[str]:
        return self.commit(relocate_replicas(self.image, *self._epoch(names, options)))

    def directories(self, names: list[str], options: Options) -> list[str]:
        lists = {each: _split(options.get(each, "")) for each in ("offline", "stalled", "full")}
        key = self._epoch(names, options)
        return self.commit(brokers.report_directories(self.image, *key, **lists))

    def isr(self, names: list[str], options: Options) -> list[str]:
        """A proposal of the leader; a member is a broker id, or `id:epoch` if not the current one."""
        topic_id, partition = self._named(names[0])
        leader = int(options.get("by", partition.leader))
        item = AlterPartition(
            topic_id=topic_id,
            partition=partition.partition,
            leader_epoch=int(options.get("leader_epoch", partition.leader_epoch)),
            partition_epoch=int(options.get("partition_epoch", partition.partition_epoch)),
            isr=[self._in_sync_member(each) for each in names[1].split(",")],
        )
        request = AlterPartitionsRequest(
            broker_id=leader, broker_epoch=self.image.brokers[leader].broker_epoch, partitions=[item]
        )
        leaving = [int(each) for each in options.get("leaving", "").split(",") if each]
        return self.commit(alter_partitions(self.image, request, leaving=leaving))

    def report(self, names: list[str], options: Options) -> list[str]:
        """`damaged`, or how far a log goes: `last=epoch:end`. Then elections of last resort are held."""
        broker_id, broker_epoch = self._epoch(names, options)
        topic_id, partition = self._named(names[1])
        last_epoch, _, end = options.get("last", "0:0").partition(":")
        report = ReplicaReport(
            topic_id=topic_id,
            partition=partition.partition,
            partition_epoch=int(options.get("partition_epoch", partition.partition_epoch)),
            damaged="damaged" in names,
            last_epoch=int(last_epoch),
            log_end_offset=int(end),
        )
        request = ReportReplicasRequest(broker_id=broker_id, broker_epoch=broker_epoch, replicas=[report])
        decision = report_replicas(self.image, request)
        lines = self.commit(decision)
        if not report.damaged and not decision.answer.outcomes[0].HasField("error"):
            self.last_resort.hear(broker_id, broker_epoch, report)
        return lines

    def last(self, names: list[str], options: Options) -> list[str]:
        return self.commit(elect_winners(self.image, self.last_resort.winners(self.image)))

    def elect(self, names: list[str], options: Options) -> list[str]:
        request = ElectLeadersRequest(kind=ElectionKinds.Value(names[0].upper()))
        for name in names[1:]:
            topic, _, number = name.rpartition("-")
            request.partitions.add(topic=topic, partition=int(number))
        return self.commit(elect_leaders(self.image, request))

    def producer_ids(self, names: list[str], options: Options) -> list[str]:
        return self.commit(brokers.allocate_producer_ids(self.image, *self._epoch(names, options)))

    def create(self, names: list[str], options: Options) -> list[str]:
        validate_only = options.pop("validate_only", "") == "yes"
        chosen = options.pop("id", "")
        partitions, replicas = int(options.pop("partitions", 0)), int(options.pop("replicas", 0))
        topics = [
            NewTopic(
                name=name,
                partitions=partitions,
                replication_factor=replicas,
                settings=options,
                topic_id=padded(chosen) if chosen else b"",
            )
            for name in names
        ]
        topic_ids = []
        for _ in topics:
            self._topics += 1
            topic_ids.append(padded(f"id-{self._topics}"))
        request = CreateTopicsRequest(topics=topics, validate_only=validate_only)
        return self.commit(
            create.create_topics(self.image, request, topic_ids=topic_ids, defaults=create.TopicDefaults())
        )

    def delete(self, names: list[str], options: Options) -> list[str]:
        ids = [padded(options["id"])] if "id" in options else []
        return self.commit(delete_topics(self.image, DeleteTopicsRequest(names=names, topic_ids=ids)))

    def grow(self, names: list[str], options: Options) -> list[str]:
        items = [PartitionCount(name=name, partitions=int(options["partitions"])) for name in names]
        return self.commit(create.add_partitions(self.image, AddPartitionsRequest(topics=items)))

    def alter(self, names: list[str], options: Options) -> list[str]:
        unset = options.pop("unset", "")
        item = AlterTopicSettings(name=names[0], set=options, unset=unset.split(",") if unset else [])
        return self.commit(alter_topic_settings(self.image, AlterTopicSettingsRequest(topics=[item])))

    def show(self, names: list[str], options: Options) -> list[str]:
        lines = [
            f"broker {each.broker_id} epoch {each.broker_epoch} {'fenced' if each.fenced else 'live'}"
            for each in self.image.brokers.values()
        ]
        if self.image.quorum is not None:
            members = " ".join(member_text(each) for each in self.image.quorum.members)
            lines.append(f"cluster epoch {self.image.quorum.cluster_epoch} members {members}")
        for name in sorted(self.image.topic_ids):
            topic = self.image.topics[self.image.topic_ids[name]]
            lines.append(f"topic {name} {short(topic.topic_id)} {dict(sorted(topic.settings.items()))}")
            lines += [f"  {partition_text(each)}" for each in topic.partitions]
        return lines

    def _named(self, name: str) -> tuple[bytes, PartitionImage]:
        topic, _, number = name.rpartition("-")
        found = self.image.topics[self.image.topic_ids[topic]]
        return found.topic_id, found.partitions[int(number)]

    def _in_sync_member(self, text: str) -> InSyncMember:
        broker_id, _, epoch = text.partition(":")
        known = self.image.brokers.get(int(broker_id))
        current = known.broker_epoch if known else 0
        return InSyncMember(broker_id=int(broker_id), broker_epoch=int(epoch or current))

    def _epoch(self, names: list[str], options: Options) -> tuple[int, int]:
        broker_id = int(names[0])
        broker = self.image.brokers.get(broker_id)
        return broker_id, int(options.get("epoch", broker.broker_epoch if broker else 0))

    def _record(self, record: MetadataRecord) -> list[str]:
        kind = str(record.WhichOneof("record"))
        at = getattr(record, kind)
        if kind == "partition_placement":
            at = at.partition
        if kind in ("partition", "partition_change", "partition_placement"):
            return [f"{kind} {self._partition(at.topic_id, at.partition)}"]
        if kind == "partition_changes":
            return [f"{kind} {self._partition(at.topic_id, number)}" for number in at.partitions]
        fields = [f"{field.name}={value_text(value)}" for field, value in at.ListFields()]
        return [" ".join([kind, *fields])]

    def _partition(self, topic_id: bytes, number: int) -> str:
        found = self.image.partition(topic_id, number)
        assert found is not None
        return f"{self.image.topics[topic_id].name}-{partition_text(found)}"

    def _answer(self, answer: object) -> list[str]:
        if isinstance(answer, AllocateProducerIdsResponse):
            return [f"{answer.first_producer_id} and {answer.count - 1} more"]
        if isinstance(answer, UpgradeFeaturesResponse):
            return [f"from level {answer.previous_level} to {answer.level}"]
        if isinstance(answer, tuple):
            return list(answer)
        outcomes = getattr(answer, "outcomes", None)
        return [str(answer)] if outcomes is None else [outcome_text(each) for each in outcomes]


_COMMANDS: dict[str, Callable[[Scenario, list[str], Options], list[str]]] = {
    "begin": Scenario.begin,
    "found": Scenario.found,
    "quorum": Scenario.quorum,
    "upgrade": Scenario.upgrade,
    "supported": Scenario.supported,
    "register": Scenario.register,
    "unfence": Scenario.unfence,
    "fence": Scenario.fence,
    "leave": Scenario.leave,
    "directories": Scenario.directories,
    "relocate": Scenario.relocate,
    "isr": Scenario.isr,
    "report": Scenario.report,
    "last-resort": Scenario.last,
    "elect": Scenario.elect,
    "producer-ids": Scenario.producer_ids,
    "create": Scenario.create,
    "delete": Scenario.delete,
    "grow": Scenario.grow,
    "alter": Scenario.alter,
    "show": Scenario.show,
}
