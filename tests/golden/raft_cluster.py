"""The members of a scenario and the messages between them; all that they do is said in lines of a trace."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_coordinator.raft import RaftNode, Ready
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftMessage
from tests.golden.raft_member import Member
from tests.golden.raft_trace import entry_text, message_text, route_text, state_text, who, write_text


class Cluster:
    """What members do when they are acted upon; when that is, is the scenario's affair."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.mail: list[RaftMessage] = []
        self.cuts: set[tuple[int, int]] = set()
        self.lines: list[str] = []

    def act(self, number: int, what: Callable[[RaftNode], object]) -> None:
        member = self.members[number]
        try:
            what(member.running())
        finally:
            self.settle(member)

    def arrive(self, message: RaftMessage) -> None:
        member = self.members[message.receiver]
        if (message.sender, message.receiver) in self.cuts or member.node is None:
            self.say(f"lost {route_text(message)}: {message_text(message)}")
            return
        verb = "hears" if message.receiver_directory_id == member.directory_id else "ignores"
        self.say(f"{member.name} {verb} {who(message.sender_directory_id)}: {message_text(message)}")
        member.node.step(message)
        self.settle(member)

    def settle(self, member: Member) -> None:
        node = member.running()
        ready = node.ready()
        self.tell_state(member)
        self._send(ready.messages)
        self._hand_on(member, ready)
        if ready.write is not None:
            self.say(f"{member.name} writes {write_text(ready.write)}")
            member.writing = ready.write
            if not member.is_slow:
                self.finish(member)

    def _hand_on(self, member: Member, ready: Ready) -> None:
        if ready.committed:
            first, last = ready.committed[0].index, ready.committed[-1].index
            assert first == member.applied + 1
            member.applied = last
            self.say(f"{member.name} applies {' '.join(map(entry_text, ready.committed))}")
        for context, index in ready.reads:
            self.say(f"{member.name} may answer read {context} once it has applied {index}")
        for peer in ready.snapshots:
            self.say(f"{member.name} must send {peer} a snapshot")

    def finish(self, member: Member) -> None:
        write, member.writing = member.writing, None
        assert write is not None
        member.do(write)
        if write.snapshot is not None:
            member.applied = write.snapshot.index
        if member.is_slow:
            self.say(f"{member.name} has written")
        self._send(write.messages)
        member.running().advance(write)
        self.settle(member)

    def _send(self, messages: list[RaftMessage]) -> None:
        for message in messages:
            sender, receiver = who(message.sender_directory_id), who(message.receiver_directory_id)
            self.say(f"{sender} sends {receiver}: {message_text(message)}")
        self.mail += messages

    def tell_state(self, member: Member) -> None:
        state = state_text(member.running())
        if state != member.told:
            member.told = state
            self.say(f"{member.name} is {state}")

    def show(self, member: Member, node: RaftNode) -> None:
        log = node.log
        entries = " ".join(map(entry_text, log.slice(log.base_index + 1, log.last_index)))
        base = f"snapshot {log.base_index}/{log.base_term}, " if log.base_index else ""
        self.say(
            f"{member.name} is {state_text(node)}: {base}{entries or 'nothing'}; "
            f"committed {log.committed_index}"
        )
        status = node.status()
        for each in status.members:
            life = "" if each.coordinator_id == node.leader else f" {each.state.value}"
            silent = "" if each.recently_active else ", silent"
            self.say(f"  {who(each.directory_id)}{life} has {each.match_index}, lacks {each.lag}{silent}")

    def overview(self) -> list[str]:
        self.lines = []
        for member in self.members.values():
            if member.node is not None:
                log = member.node.log
                self.say(
                    f"{member.name} is {state_text(member.node)}, "
                    f"log up to {log.last_index}/{log.last_term}, committed {log.committed_index}"
                )
        return self.lines

    def take(self, names: list[str]) -> list[RaftMessage]:
        taken = [each for each in self.mail if not names or matches(each, names)]
        self.mail = [each for each in self.mail if not any(each is one for one in taken)]
        return taken

    def named(self, names: list[str]) -> list[Member]:
        return [self.members[int(name)] for name in names]

    def quorum(self, voters: list[int], learners: list[int]) -> QuorumRecord:
        members = []
        for number in sorted(voters + learners):
            member = self.members.get(number) or Member(number)
            members.append(
                QuorumMember(coordinator_id=number, directory_id=member.directory_id, voter=number in voters)
            )
        return QuorumRecord(cluster_epoch=1, members=members)

    def say(self, line: str) -> None:
        self.lines.append(line)


def matches(message: RaftMessage, patterns: list[str]) -> bool:
    for pattern in patterns:
        sender, _, receiver = pattern.partition(">")
        if sender in ("*", str(message.sender)) and receiver in ("*", str(message.receiver)):
            return True
    return False
