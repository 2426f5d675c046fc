"""The commands of a scenario: each is one method, with its names and options as the script gives them."""

from __future__ import annotations

from streamkeep_coordinator.raft import HardState, RaftNode, Role
from streamkeep_proto.v1.raft_pb2 import RaftMessage, SnapshotReceived
from tests.golden.raft_cluster import Cluster, matches
from tests.golden.raft_member import ELECTION_TICKS, Member
from tests.golden.raft_trace import message_text, route_text

Options = dict[str, str]


class Scenario:
    """A cluster, what is done to it, and messages that are held back."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.held: list[RaftMessage] = []
        self.limits: dict[str, int] = {}

    # ---- who there is ----

    def nodes(self, names: list[str], options: Options) -> None:
        """`nodes 1 2 3 learners=4 empty=5`: a new cluster; who is empty is not in it. `log=1,1,2` terms of
        its log.
        """
        learners = _numbers(options.get("learners", ""))
        voters = [int(name) for name in names]
        quorum = self.cluster.quorum(voters, learners)
        terms = _numbers(options.get("log", "1"))
        for number in sorted(voters + learners):
            self.cluster.members[number] = Member(number)
            self.cluster.members[number].set_log(terms, quorum)
        for number in _numbers(options.get("empty", "")):
            self.cluster.members[number] = Member(number)
        for member in self.cluster.members.values():
            member.start(self.limits)

    def log(self, names: list[str], options: Options) -> None:
        """`log 2 1,1,3 term=4 commit=2`: it starts with a disk that holds entries of these terms."""
        member = self.cluster.members[int(names[0])]
        member.set_log(_numbers(names[1]), member.entries[0].quorum)
        term, commit = int(options.get("term", member.hard_state.term)), int(options.get("commit", 0))
        member.hard_state = HardState(term, 0, commit)
        member.start(self.limits)

    def limit(self, names: list[str], options: Options) -> None:
        self.limits = {name: int(value) for name, value in options.items()}

    def crash(self, names: list[str], options: Options) -> None:
        for member in self.cluster.named(names):
            member.node = member.writing = None
            member.told = ""

    def restart(self, names: list[str], options: Options) -> None:
        for member in self.cluster.named(names):
            member.start(self.limits)
            self.cluster.tell_state(member)

    def wipe(self, names: list[str], options: Options) -> None:
        """The disk is emptied, and its owner comes back as somebody else."""
        for member in self.cluster.named(names):
            life = chr(ord(member.life or "a") + 1)
            self.cluster.members[member.id] = Member(member.id, life)
            self.cluster.members[member.id].start(self.limits)

    # ---- time and messages ----

    def tick(self, names: list[str], options: Options) -> None:
        for name in names:
            for _ in range(int(options.get("times", 1))):
                self.cluster.act(int(name), lambda node: node.tick())

    def timeout(self, names: list[str], options: Options) -> None:
        """Ticks until that one begins a campaign."""
        member = self.cluster.members[int(names[0])]
        node = member.running()
        for _ in range(3 * ELECTION_TICKS):
            node.tick()
            if node.role is not Role.FOLLOWER:
                break
        self.cluster.settle(member)

    def elect(self, names: list[str], options: Options) -> None:
        """Who follows a leader has not heard it for the shortest election timeout; that one campaigns."""
        for member in self.cluster.members.values():
            if member.node is not None and member.node.leader not in (0, member.id):
                for _ in range(ELECTION_TICKS):
                    member.node.tick()
                self.cluster.settle(member)
        self.timeout(names, options)
        self.settle([], options)

    def deliver(self, names: list[str], options: Options) -> None:
        """`deliver`: all that is under way now. `deliver 1>2 3>*`: only that. `first=1`: only so many."""
        for message in self.cluster.take(names)[: int(options.get("first", 1000))]:
            self.cluster.arrive(message)

    def settle(self, names: list[str], options: Options) -> None:
        """Deliver until nothing is under way."""
        for _ in range(100):
            for message in self.cluster.take([]):
                self.cluster.arrive(message)
            if not self.cluster.mail:
                return
        raise AssertionError("it does not come to rest")

    def drop(self, names: list[str], options: Options) -> None:
        for message in self.cluster.take(names):
            self.cluster.say(f"lost {route_text(message)}: {message_text(message)}")

    def hold(self, names: list[str], options: Options) -> None:
        """What is under way now arrives only after `release`."""
        self.held += self.cluster.take(names)

    def release(self, names: list[str], options: Options) -> None:
        self.cluster.mail, self.held = self.held + self.cluster.mail, []

    def repeat(self, names: list[str], options: Options) -> None:
        """What is under way arrives twice."""
        found = [each for each in self.cluster.mail if not names or matches(each, names)]
        self.cluster.mail += found

    def reverse(self, names: list[str], options: Options) -> None:
        """What was sent last arrives first."""
        self.cluster.mail.reverse()

    def cut(self, names: list[str], options: Options) -> None:
        """`cut 1>2`, `cut 1` in both directions from everybody."""
        for name in names:
            sender, _, receiver = name.partition(">")
            for each in self.cluster.members:
                pairs = (
                    {(int(sender), int(receiver))} if receiver else {(int(sender), each), (each, int(sender))}
                )
                self.cluster.cuts |= pairs

    def mend(self, names: list[str], options: Options) -> None:
        self.cluster.cuts.clear()

    # ---- disks ----

    def slow(self, names: list[str], options: Options) -> None:
        for member in self.cluster.named(names):
            member.is_slow = True

    def persist(self, names: list[str], options: Options) -> None:
        """The write under way is durable now."""
        for member in self.cluster.named(names):
            self.cluster.finish(member)

    def fast(self, names: list[str], options: Options) -> None:
        for member in self.cluster.named(names):
            member.is_slow = False
            if member.writing is not None:
                self.cluster.finish(member)

    # ---- what is asked of a node ----

    def propose(self, names: list[str], options: Options) -> None:
        """`propose 1 a b c`: three proposals in one pass; `bytes=n` makes each so long."""
        size = int(options.get("bytes", 0))

        def propose(node: RaftNode) -> None:
            for name in names[1:]:
                node.propose(name.encode().ljust(size, b"."))

        self.cluster.act(int(names[0]), propose)

    def quorum(self, names: list[str], options: Options) -> None:
        """`quorum 1 1,2,3 learners=4`: the leader 1 proposes it."""
        quorum = self.cluster.quorum(_numbers(names[1]), _numbers(options.get("learners", "")))
        self.cluster.act(int(names[0]), lambda node: node.propose(b"quorum", quorum=quorum))

    def read(self, names: list[str], options: Options) -> None:
        """`read 2 7 8`: node 2, contexts 7 and 8."""

        def read(node: RaftNode) -> None:
            for context in names[1:]:
                node.read(int(context))

        self.cluster.act(int(names[0]), read)

    def transfer(self, names: list[str], options: Options) -> None:
        self.cluster.act(int(names[0]), lambda node: node.transfer(int(names[1])))

    def unreachable(self, names: list[str], options: Options) -> None:
        self.cluster.act(int(names[0]), lambda node: node.unreachable(int(names[1])))

    def compact(self, names: list[str], options: Options) -> None:
        """`compact 1 7 keep=2`: its snapshot contains entry 7; the last two up to there stay in memory."""
        member, index = self.cluster.members[int(names[0])], int(names[1])
        node = member.running()
        term, quorum = node.log.term_at(index), node.log.committed_quorum
        assert term is not None
        assert index <= member.applied
        dropped = index - member.snapshot.index
        member.snapshot = SnapshotReceived(index=index, last_term=term, quorum=quorum)
        del member.entries[:dropped]
        node.compact(index - int(options.get("keep", 0)))

    def snapshot(self, names: list[str], options: Options) -> None:
        """`snapshot 1>2`: what 1 has arrives at 2 and 1 learns of it. `ok=no`: it failed. `again=yes`: 2
        only.
        """
        sender, receiver = (self.cluster.members[int(each)] for each in names[0].split(">"))
        succeeded = options.get("ok") != "no"
        if succeeded:
            message = RaftMessage(
                sender=sender.id,
                sender_directory_id=sender.directory_id,
                receiver=receiver.id,
                receiver_directory_id=receiver.directory_id,
                term=int(options.get("term", sender.running().term)),
                snapshot_received=sender.snapshot,
            )
            self.cluster.arrive(message)
        if options.get("again") != "yes":
            self.cluster.act(sender.id, lambda node: node.snapshot_sent(receiver.id, succeeded=succeeded))

    def show(self, names: list[str], options: Options) -> None:
        for member in self.cluster.named(names) if names else self.cluster.members.values():
            if member.node is not None:
                self.cluster.show(member, member.node)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]
