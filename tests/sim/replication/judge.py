"""Looks at the broker that has just done something, after every event, and at what was committed about it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from streamkeep import TopicPartition
from streamkeep_broker.log.partition_log import PartitionLog
from streamkeep_broker.replication.partition import Partition
from streamkeep_common.image import PartitionImage
from streamkeep_common.methods import ALTER_PARTITIONS
from streamkeep_proto.v1.coordinator_pb2 import AlterPartitionsRequest
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry
from tests.sim.processes import SimProcess
from tests.sim.quorum.judge import Judge
from tests.sim.replication.frames import LogFiles
from tests.sim.replication.history import DURABLE, Election, Loss, PartitionHistory
from tests.sim.replication.hosts import BrokerHost
from tests.sim.replication.inside import maximal_isr, subscriptions
from tests.sim.replication.ledger import PartitionLedger
from tests.sim.replication.metadata import CommittedMetadata
from tests.sim.replication.replica import Replica
from tests.sim.replication.watching import Changed, Watch
from tests.sim.simulation import Simulation
from tests.sim.violation import require

ONE_FETCHER = "a partition is followed once"
SUPERSET = "a leader's in-sync set contains the committed one"


class ReplicationJudge:
    """Raises InvariantError out of the simulation's loop as soon as a promise is broken.

    `quorum` judges the coordinators; what it finds committed is judged here too.
    """

    def __init__(
        self,
        simulation: Simulation,
        hosts: Sequence[BrokerHost],
        quorum: Judge,
        watch: Watch,
        ledgers: Mapping[TopicPartition, PartitionLedger],
    ) -> None:
        self.histories: dict[tuple[bytes, int], PartitionHistory] = {}
        self.metadata = CommittedMetadata(simulation.note, self)
        self.leaders: dict[tuple[bytes, int], Partition] = {}
        """Who leads in the newest epoch that anybody has heard of."""
        self._simulation = simulation
        self._hosts = {host.name: host for host in hosts}
        self._quorum = quorum
        self._watch = watch
        self._ledgers = ledgers
        self._files: dict[SimProcess, dict[PartitionLog, LogFiles]] = {}
        quorum.on_entry = self._committed
        simulation.fabric.taps[ALTER_PARTITIONS.path] = self._overhear_proposals
        simulation.loop.after_step = self._after_step

    def guard(self, task: asyncio.Task[Any]) -> None:
        """What a client finds wrong ends the simulation."""
        task.add_done_callback(self._report_failure)

    def _report_failure(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._quorum.report(error if isinstance(error, Exception) else AssertionError(repr(error)))

    # --- after every event ---

    def _after_step(self, process: SimProcess | None) -> None:
        self._quorum.after_step(process)
        if process is None:
            return
        changed = self._watch.take(process)
        if changed is not None and process.name in self._hosts:
            self._look(process, self._hosts[process.name], changed)

    def _look(self, process: SimProcess, host: BrokerHost, changed: Changed) -> None:
        if process not in self._files:
            self._files = {each: logs for each, logs in self._files.items() if each.name != process.name}
            self._files[process] = {}
        for log, lowest_end in changed.logs.items():
            is_reopened = log in changed.reopened
            self._log_moved(self._files[process], host, log, lowest_end, is_reopened=is_reopened)
        for partition in changed.partitions:
            if partition.leads:
                self._leads(host, partition)
        for log in changed.logs:
            self._watermark_moved(host, log)
        if changed.subscribes and host.broker is not None:
            counts = subscriptions(host.broker)
            require(max(counts.values(), default=0) <= 1, ONE_FETCHER, f"{host.name}: {counts}")
        for partition in changed.partitions:
            if not partition.leads:
                self._leads_no_more(host, partition)

    def _history(self, log: PartitionLog) -> PartitionHistory:
        key = (log.topic_id, log.partition)
        if key not in self.histories:
            name = f"{log.topic}-{log.partition}"
            self.histories[key] = PartitionHistory(name, self._simulation.note, self._lost)
        return self.histories[key]

    def _log_moved(
        self,
        files: dict[PartitionLog, LogFiles],
        host: BrokerHost,
        log: PartitionLog,
        lowest_end: int,
        *,
        is_reopened: bool,
    ) -> None:
        history = self._history(log)
        replica = history.replica(host.number)
        if log not in files:
            files[log] = LogFiles(log, host.disk)
            self._opened(history, replica, files[log])
        elif (
            is_reopened or lowest_end < replica.end_offset or not self._read_on(history, replica, files[log])
        ):
            self._read_again(history, replica, files[log], min(lowest_end, log.log_end_offset))
        if log.lowered is None:
            replica.acknowledged_end = max(replica.acknowledged_end, log.acknowledged_end)
            replica.certain_end = None
        else:  # a cut is under way: the process may end when it is done and nobody has heard of it
            replica.certain_end = log.lowered.recovery_point
        history.log_start = max(history.log_start, log.log_start_offset)
        ledger = self._ledgers.get(TopicPartition(log.topic, log.partition))
        if ledger is not None:
            ledger.log_start = history.log_start

    def _opened(self, history: PartitionHistory, replica: Replica, files: LogFiles) -> None:
        """A process begins with a log."""
        frames = files.read_all()
        if files.log.defects or files.is_broken:
            self._corrupt(replica, files)
            return
        history.restart(replica, frames, acknowledged_end=replica.kept_end)
        if not frames:
            replica.start_offset = files.log.log_end_offset

    def _corrupt(self, replica: Replica, files: LogFiles) -> None:
        require(replica.damages, DURABLE, f"{replica.name} is corrupt: {files.log.defects}")
        replica.found_damaged()
        replica.cut(files.log.log_end_offset)

    def _read_on(self, history: PartitionHistory, replica: Replica, files: LogFiles) -> bool:
        """False: what came does not follow on what was there."""
        frames = files.read_on()
        if frames and frames[0].base_offset != replica.end_offset:
            return False
        history.extend(replica, frames)
        return replica.end_offset == files.log.log_end_offset or files.is_broken

    def _read_again(
        self, history: PartitionHistory, replica: Replica, files: LogFiles, lowest_end: int
    ) -> None:
        """The log was cut, or begun anew; and may have grown again since."""
        frames = files.read_all()
        if files.log.defects:  # found when it was opened again, for a cut
            self._corrupt(replica, files)
            return
        if files.is_broken:
            history.cut(replica, lowest_end)
            return
        begin = frames[0].base_offset if frames else files.log.log_end_offset
        first_kept = replica.frame_at(begin)
        if frames and first_kept == frames[0]:
            kept = [frame for frame in frames if replica.frame_at(frame.base_offset) == frame]
            history.cut(replica, kept[-1].next_offset)
            frames = frames[len(kept) :]
        elif not frames and replica.start_offset == begin and not replica.is_damaged:
            history.cut(replica, begin)
        else:
            history.begin(replica, begin)
        history.extend(replica, frames)

    # --- what replicas say ---

    def _leads(self, host: BrokerHost, partition: Partition) -> None:
        log = partition.log
        history = self._history(log)
        known = self.leaders.get((log.topic_id, log.partition))
        if known is not partition or not history.leads_in(host.number, partition.leader_epoch):
            history.lead(history.replica(host.number), partition.leader_epoch)
        if known is None or known.leader_epoch <= partition.leader_epoch:
            self.leaders[log.topic_id, log.partition] = partition
        self._require_superset(partition)

    def _leads_no_more(self, host: BrokerHost, partition: Partition) -> None:
        log = partition.log
        self._history(log).leads_no_more(host.number)
        if self.leaders.get((log.topic_id, log.partition)) is partition:
            del self.leaders[log.topic_id, log.partition]

    def _require_superset(self, partition: Partition) -> None:
        """The leader counts everybody whom the coordinators call in sync, if it is still their leader."""
        image = self.metadata.image.partition(partition.log.topic_id, partition.log.partition)
        if image is not None and image.leader_epoch == partition.leader_epoch:
            counted = maximal_isr(partition)
            require(
                set(image.isr) <= counted,
                SUPERSET,
                f"{partition.name}: leader {image.leader} counts {sorted(counted)} at partition epoch "
                f"{partition.partition_epoch}, committed are {image.isr} at {image.partition_epoch}",
            )

    def _watermark_moved(self, host: BrokerHost, log: PartitionLog) -> None:
        history = self._history(log)
        replica = history.replica(host.number)
        if log.high_watermark == replica.high_watermark:
            return
        epoch = history.epoch_led_by(host.number)
        if not epoch:
            history.follow(replica, log.high_watermark)
            return
        history.commit(replica, log.high_watermark, epoch)
        image = self.metadata.image.partition(log.topic_id, log.partition)
        if image is not None and image.leader_epoch == epoch:
            history.require_candidates((*image.isr, *image.elr))

    # --- what was committed ---

    def _overhear_proposals(self, _source: str, _target: str, data: bytes) -> None:
        try:
            request = AlterPartitionsRequest.FromString(data)
        except DecodeError:
            return  # a refusal, on its way back
        for item in request.partitions:
            self.metadata.proposed(item)

    def _committed(self, entry: MetadataEntry) -> None:
        self.metadata.apply(entry)

    def registered(self, broker_id: int) -> None:
        for history in self.histories.values():
            replica = history.replicas.get(broker_id)
            if replica is not None:
                replica.registered()

    def partition_changed(self, partition: PartitionImage, election: Election | None) -> None:
        key = (partition.topic_id, partition.partition)
        if key not in self.histories:
            name = self.metadata.name_of(partition)
            self.histories[key] = PartitionHistory(name, self._simulation.note, self._lost)
        history = self.histories[key]
        if election is not None:
            history.elect(partition.leader_epoch, election)
        history.assign(partition.replicas)
        history.require_candidates((*partition.isr, *partition.elr))
        leader = self.leaders.get(key)
        if leader is not None and leader.leader_epoch == partition.leader_epoch:
            self._require_superset(leader)

    # --- what faults do ---

    def ended(self, host: BrokerHost) -> None:
        """Its process is dead."""
        for key, history in self.histories.items():
            if history.epoch_led_by(host.number):
                history.leads_no_more(host.number)
                self.leaders.pop(key, None)

    def emptied(self, host: BrokerHost) -> None:
        """A broker's disk has nothing any more."""
        for history in self.histories.values():
            if host.number in history.replicas:
                history.replicas[host.number].damage("emptied disk", until_registered=True)
                history.replicas[host.number].empty()

    def flipped(self, host: BrokerHost, directory: str) -> None:
        """There is a wrong bit in the log that has that directory."""
        for history in self.histories.values():
            if host.number in history.replicas and directory.startswith(f"{history.name}."):
                history.replicas[host.number].damage("flipped bit", until_registered=False)

    def lost_page_cache(self, host: BrokerHost, topics: Collection[str]) -> None:
        """A broker's machine has lost power, and these topics trust it not to."""
        for history in self.histories.values():
            if host.number in history.replicas and history.name.rpartition("-")[0] in topics:
                history.replicas[host.number].damage("power cut", until_registered=True)
                history.replicas[host.number].acknowledged_end = 0

    def _lost(self, history: PartitionHistory, loss: Loss) -> None:
        topic, _, number = history.name.rpartition("-")
        ledger = self._ledgers.get(TopicPartition(topic, int(number)))
        if ledger is not None:
            ledger.lose(loss.from_offset, loss.to_offset)
