"""Looks at the process that has just done something, after every event, and at what leaves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from google.protobuf.message import DecodeError

from streamkeep_common.image import ClusterImage
from streamkeep_common.methods import EXCHANGE
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftEnvelope, RaftMessage
from tests.sim.processes import SimProcess
from tests.sim.quorum.agreement import Agreement, Directory
from tests.sim.quorum.cluster import CoordinatorHost
from tests.sim.quorum.inside import Inside, look_inside
from tests.sim.quorum.sessions import Troubles
from tests.sim.simulation import Simulation
from tests.sim.violation import InvariantError


class Judge:
    """Raises InvariantError out of the simulation's loop as soon as a promise is broken."""

    def __init__(self, simulation: Simulation, hosts: Sequence[CoordinatorHost], troubles: Troubles) -> None:
        self.agreement = Agreement(simulation.note, self._proposed, self._committed)
        self.quorum = QuorumRecord()
        """The newest one committed."""
        self.directories: dict[tuple[int, bytes], Directory] = {}
        self.listeners: list[Callable[[str, int], None]] = []
        """Told of each "vote" and "acknowledgement", with the number of whoever gives it, as it leaves."""
        self.on_entry: Callable[[MetadataEntry], None] = lambda _entry: None
        """Told of each entry when it is first committed."""
        self._simulation = simulation
        self._hosts = {host.name: host for host in hosts}
        self._troubles = troubles
        self._seats: dict[SimProcess, _Seat] = {}
        self._broken: Exception | None = None
        simulation.loop.after_step = self.after_step
        simulation.fabric.taps[EXCHANGE.path] = self._overhear

    def report(self, error: Exception) -> None:
        """Raise this after the present event: where it was found, somebody might catch it."""
        self._broken = self._broken or error

    def seat_of(self, host: CoordinatorHost) -> Inside | None:
        """What is inside of the process on that host; None if it is down or has just begun."""
        return None if host.coordinator is None else look_inside(host.coordinator)

    def active(self, hosts: Iterable[CoordinatorHost]) -> CoordinatorHost | None:
        """Who of them takes itself for the active coordinator; the one with the newest term if several do."""
        found: tuple[int, CoordinatorHost] | None = None
        for host in hosts:
            inside = self.seat_of(host)
            if (
                inside is not None
                and inside.driver.is_active
                and (found is None or inside.driver.term > found[0])
            ):
                found = (inside.driver.term, host)
        return None if found is None else found[1]

    def show(self, image: ClusterImage, who: str) -> None:
        """A broker has this image."""
        try:
            self.agreement.show(image, who)
        except InvariantError as error:
            self.report(error)

    # --- after every event ---

    def after_step(self, process: SimProcess | None) -> None:
        """Look at the process that has just done something, if it is a coordinator."""
        if self._broken is not None:
            raise self._broken
        if process is None:
            return
        seat = self._seats.get(process)
        if seat is None:
            host = self._hosts.get(process.name)
            if host is None or host.machine is None or host.machine.process is not process:
                return
            inside = self.seat_of(host)
            if inside is None:
                return
            seat = self._seats[process] = _Seat(inside, self._directory_of)
        seat.look()

    def _directory_of(self, coordinator_id: int, directory_id: bytes) -> Directory:
        key = (coordinator_id, directory_id)
        if key not in self.directories:
            name = f"{coordinator_id}/{directory_id.hex()[:4]}"
            self._simulation.note("new directory", name)
            if self._hosts[f"coordinator-{coordinator_id}"].has_quarantine():
                self._simulation.note("quarantined", name)
            self.directories[key] = Directory(self.agreement, name)
        return self.directories[key]

    # --- when an entry is first proposed and committed ---

    def _proposed(self, entry: RaftEntry) -> None:
        self._troubles.proposed(MetadataEntry.FromString(entry.data))

    def _committed(self, entry: RaftEntry) -> None:
        for broker in self._troubles.committed(entry.index, entry.term):
            self._simulation.note("fenced", f"broker {broker} by entry {entry.index}")
        self.on_entry(MetadataEntry.FromString(entry.data))
        if entry.HasField("quorum"):
            self._quorum_changed(entry)

    def _quorum_changed(self, entry: RaftEntry) -> None:
        before = {each.directory_id: each.voter for each in self.quorum.members}
        after = {each.directory_id: each.voter for each in entry.quorum.members}
        self.quorum = entry.quorum
        shown = [
            f"{each.coordinator_id}/{each.directory_id.hex()[:4]}{'' if each.voter else ' (learner)'}"
            for each in entry.quorum.members
        ]
        self._simulation.note("membership", f"{entry.index}: {', '.join(shown)}")
        if any(voter and directory not in after for directory, voter in before.items()):
            self._simulation.note("voter removed", str(entry.index))
        if any(voter and before.get(directory) is False for directory, voter in after.items()):
            self._simulation.note("learner promoted", str(entry.index))

    # --- what is said ---

    def _overhear(self, source: str, target: str, data: bytes) -> None:
        try:
            envelope = RaftEnvelope.FromString(data)
        except DecodeError:
            return  # a refusal, on its way back
        trace = self._simulation.trace
        if trace.remembers_all:
            said = " ".join(str(envelope).split())
            trace.aside(self._simulation.loop.time(), "says", f"{source} to {target}: {said}")
        if envelope.WhichOneof("envelope") == "message":
            try:
                self._weigh(envelope.message)
            except InvariantError as error:
                self.report(error)

    def _weigh(self, message: RaftMessage) -> None:
        directory = self.directories.get((message.sender, message.sender_directory_id))
        if directory is None:
            return
        body = message.WhichOneof("body")
        if body == "vote_request" and not message.vote_request.pre_vote:
            directory.voted(message.term, message.sender)
        elif body == "vote_response" and message.vote_response.granted and not message.vote_response.pre_vote:
            directory.voted(message.term, message.receiver)
            self._tell("vote", message.sender)
        elif body == "append_response" and not message.append_response.rejected:
            directory.acknowledged(message.term, message.append_response.index)
            self._tell("acknowledgement", message.sender)

    def _tell(self, kind: str, number: int) -> None:
        for listener in list(self.listeners):
            listener(kind, number)


class _Seat:
    """One running process and the directory it works on, which changes if it is quarantined."""

    def __init__(self, inside: Inside, directory_of: Callable[[int, bytes], Directory]) -> None:
        self._inside = inside
        self._directory_of = directory_of
        self._directory_id = b""
        self._directory: Directory
        self._image: ClusterImage | None = None

    def look(self) -> None:
        local = self._inside.local
        if local.directory_id != self._directory_id:
            self._directory_id = local.directory_id
            self._directory = self._directory_of(local.id, local.directory_id)
        self._directory.look(self._inside.driver.node)
        image = self._inside.images.committed
        if image is not self._image:
            self._image = image
            self._directory.show(image)
