"""Runs a scenario script over one to five RaftNodes and writes down all that they do.

A script is a list of steps: a comment or none, a command line, `----`, and the expected trace up to a blank
line.

The trace: `1 sends 2: ...` when a message leaves, `2 hears 1: ...` when it arrives, what a node writes,
becomes, commits and reads. An entry is `index/term`, with its data in quotes; `{1 2 (3)}` is a quorum with
voters 1 and 2 and learner 3, and `3b` is what came back with an emptied disk after `3`. Time is ticks that
the script spends; messages wait until it delivers or drops them; a write is done at once, unless the disk is
`slow`: then `persist` does it. The election timeout of node n is 10 + n ticks. `quietly` before a command
leaves only the outcome. See `_COMMANDS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from streamkeep_coordinator.raft import (
    HardState,
    RaftConfig,
    RaftError,
    RaftLog,
    RaftNode,
    Ready,
    Role,
    Write,
)
from streamkeep_proto.v1.metadata_pb2 import QuorumMember, QuorumRecord
from streamkeep_proto.v1.raft_pb2 import RaftEntry, RaftMessage, SnapshotReceived

ELECTION_TICKS = 10
UNWRITTEN = HardState(0, 0, 0)
Options = dict[str, str]


def run_script(script: str) -> str:
    """The script with the trace that it has now."""
    scenario = Scenario()
    return "".join(
        f"{comment}{command}\n----\n{scenario.run(command)}\n" for comment, command in _steps(script)
    )


def _steps(script: str) -> Iterator[tuple[str, str]]:
    comment = ""
    expected = False
    for line in script.splitlines():
        if not line.strip():
            expected = False
            comment += "\n" if comment else ""
        elif line == "----":
            expected = True
        elif line.startswith("#"):
            comment += f"{line}\n"
        elif not expected:
            yield comment, line
            comment = ""


class _NodeNumber(random.Random):
    """Every election timeout of a node is longer than the shortest by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(0)
        self._number = number

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return start + self._number


@dataclass
class Member:
    """A coordinator: its disk, and its process while it runs."""

    id: int
    life: str = ""
    hard_state: HardState = UNWRITTEN
    snapshot: SnapshotReceived = field(default_factory=SnapshotReceived)
    entries: list[RaftEntry] = field(default_factory=list)
    node: RaftNode | None = None
    writing: Write | None = None
    is_slow: bool = False
    applied: int = 0
    told: str = ""

    @property
    def name(self) -> str:
        return f"{self.id}{self.life}"

    @property
    def directory_id(self) -> bytes:
        return self.name.encode().ljust(16, b".")

    def start(self, limits: dict[str, int]) -> RaftNode:
        quorum = self.snapshot.quorum if self.snapshot.HasField("quorum") else None
        config = RaftConfig(
            coordinator_id=self.id,
            directory_id=self.directory_id,
            election_ticks=ELECTION_TICKS,
            heartbeat_ticks=2,
            **limits,
        )
        committed_index = self.hard_state.committed_index
        node = RaftNode(
            config,
            log=RaftLog(self.snapshot.index, self.snapshot.last_term, quorum, self.entries, committed_index),
            hard_state=self.hard_state,
            rng=_NodeNumber(self.id),
            make_no_op=lambda index, term: b"no-op",
        )
        self.node, self.applied = node, self.snapshot.index
        return node

    def do(self, write: Write) -> None:
        if write.snapshot is not None:
            self.snapshot, self.entries = write.snapshot, []
        if write.truncate_from:
            del self.entries[write.truncate_from - self.snapshot.index - 1 :]
        self.hard_state = write.hard_state or self.hard_state
        self.entries += write.entries


class Scenario:
    """The members, the messages between them, and one method a command."""

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.mail: list[RaftMessage] = []
        self.held: list[RaftMessage] = []
        self.cuts: set[tuple[int, int]] = set()
        self.limits: dict[str, int] = {}
        self.lines: list[str] = []

    def run(self, line: str) -> str:
        quietly = line.startswith("quietly ")
        verb, *words = line.removeprefix("quietly ").split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        names = [word for word in words if "=" not in word]
        self.lines = []
        try:
            _COMMANDS[verb](self, names, options)
        except RaftError as error:
            self.lines.append(f"{type(error).__name__}: {error}")
        if quietly:
            self.lines = [] if verb == "limits" else self._overview()
        return "".join(f"{each}\n" for each in self.lines)

    # ---- who there is ----

    def nodes(self, names: list[str], options: Options) -> None:
        """`nodes 1 2 3 learners=4 empty=5`: a new cluster; who is empty is not in it. `log=1,1,2` terms of
        its log.
        """
        learners = _numbers(options.get("learners", ""))
        voters = [int(name) for name in names]
        quorum = self._quorum(voters, learners)
        terms = _numbers(options.get("log", "1"))
        for number in sorted(voters + learners):
            self.members[number] = Member(number)
            self._set_log(self.members[number], terms, quorum)
        for number in _numbers(options.get("empty", "")):
            self.members[number] = Member(number)
        for member in self.members.values():
            member.start(self.limits)

    def log(self, names: list[str], options: Options) -> None:
        """`log 2 1,1,3 term=4 commit=2`: it starts with a disk that holds entries of these terms."""
        member = self.members[int(names[0])]
        self._set_log(member, _numbers(names[1]), member.entries[0].quorum)
        term, commit = int(options.get("term", member.hard_state.term)), int(options.get("commit", 0))
        member.hard_state = HardState(term, 0, commit)
        member.start(self.limits)

    def limit(self, names: list[str], options: Options) -> None:
        self.limits = {name: int(value) for name, value in options.items()}

    def crash(self, names: list[str], options: Options) -> None:
        for member in self._named(names):
            member.node = member.writing = None
            member.told = ""

    def restart(self, names: list[str], options: Options) -> None:
        for member in self._named(names):
            member.start(self.limits)
            self._tell_state(member)

    def wipe(self, names: list[str], options: Options) -> None:
        """The disk is emptied, and its owner comes back as somebody else."""
        for member in self._named(names):
            life = chr(ord(member.life or "a") + 1)
            self.members[member.id] = Member(member.id, life)
            self.members[member.id].start(self.limits)

    # ---- time and messages ----

    def tick(self, names: list[str], options: Options) -> None:
        for name in names:
            for _ in range(int(options.get("times", 1))):
                self._act(int(name), lambda node: node.tick())

    def timeout(self, names: list[str], options: Options) -> None:
        """Ticks until that one begins a campaign."""
        member = self.members[int(names[0])]
        node = _running(member)
        for _ in range(3 * ELECTION_TICKS):
            node.tick()
            if node.role is not Role.FOLLOWER:
                break
        self._settle(member)

    def elect(self, names: list[str], options: Options) -> None:
        """Who follows a leader has not heard it for the shortest election timeout; that one campaigns."""
        for member in self.members.values():
            if member.node is not None and member.node.leader not in (0, member.id):
                for _ in range(ELECTION_TICKS):
                    member.node.tick()
                self._settle(member)
        self.timeout(names, options)
        self.settle([], options)

    def deliver(self, names: list[str], options: Options) -> None:
        """`deliver`: all that is under way now. `deliver 1>2 3>*`: only that. `first=1`: only so many."""
        for message in self._take(names)[: int(options.get("first", 1000))]:
            self._arrive(message)

    def settle(self, names: list[str], options: Options) -> None:
        """Deliver until nothing is under way."""
        for _ in range(100):
            for message in self._take([]):
                self._arrive(message)
            if not self.mail:
                return
        raise AssertionError("it does not come to rest")

    def drop(self, names: list[str], options: Options) -> None:
        for message in self._take(names):
            self._say(f"lost {_route(message)}: {_message(message)}")

    def hold(self, names: list[str], options: Options) -> None:
        """What is under way now arrives only after `release`."""
        self.held += self._take(names)

    def release(self, names: list[str], options: Options) -> None:
        self.mail, self.held = self.held + self.mail, []

    def repeat(self, names: list[str], options: Options) -> None:
        """What is under way arrives twice."""
        found = [each for each in self.mail if not names or _matches(each, names)]
        self.mail += found

    def reverse(self, names: list[str], options: Options) -> None:
        """What was sent last arrives first."""
        self.mail.reverse()

    def cut(self, names: list[str], options: Options) -> None:
        """`cut 1>2`, `cut 1` in both directions from everybody."""
        for name in names:
            sender, _, receiver = name.partition(">")
            for each in self.members:
                pairs = (
                    {(int(sender), int(receiver))} if receiver else {(int(sender), each), (each, int(sender))}
                )
                self.cuts |= pairs

    def mend(self, names: list[str], options: Options) -> None:
        self.cuts.clear()

    # ---- disks ----

    def slow(self, names: list[str], options: Options) -> None:
        for member in self._named(names):
            member.is_slow = True

    def persist(self, names: list[str], options: Options) -> None:
        """The write under way is durable now."""
        for member in self._named(names):
            self._finish(member)

    def fast(self, names: list[str], options: Options) -> None:
        for member in self._named(names):
            member.is_slow = False
            if member.writing is not None:
                self._finish(member)

    # ---- what is asked of a node ----

    def propose(self, names: list[str], options: Options) -> None:
        """`propose 1 a b c`: three proposals in one pass; `bytes=n` makes each so long."""
        size = int(options.get("bytes", 0))

        def propose(node: RaftNode) -> None:
            for name in names[1:]:
                node.propose(name.encode().ljust(size, b"."))

        self._act(int(names[0]), propose)

    def quorum(self, names: list[str], options: Options) -> None:
        """`quorum 1 1,2,3 learners=4`: the leader 1 proposes it."""
        quorum = self._quorum(_numbers(names[1]), _numbers(options.get("learners", "")))
        self._act(int(names[0]), lambda node: node.propose(b"quorum", quorum=quorum))

    def read(self, names: list[str], options: Options) -> None:
        """`read 2 7 8`: node 2, contexts 7 and 8."""

        def read(node: RaftNode) -> None:
            for context in names[1:]:
                node.read(int(context))

        self._act(int(names[0]), read)

    def transfer(self, names: list[str], options: Options) -> None:
        self._act(int(names[0]), lambda node: node.transfer(int(names[1])))

    def unreachable(self, names: list[str], options: Options) -> None:
        self._act(int(names[0]), lambda node: node.unreachable(int(names[1])))

    def compact(self, names: list[str], options: Options) -> None:
        """`compact 1 7 keep=2`: its snapshot contains entry 7; the last two up to there stay in memory."""
        member, index = self.members[int(names[0])], int(names[1])
        node = _running(member)
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
        sender, receiver = (self.members[int(each)] for each in names[0].split(">"))
        succeeded = options.get("ok") != "no"
        if succeeded:
            message = RaftMessage(
                sender=sender.id,
                sender_directory_id=sender.directory_id,
                receiver=receiver.id,
                receiver_directory_id=receiver.directory_id,
                term=int(options.get("term", _running(sender).term)),
                snapshot_received=sender.snapshot,
            )
            self._arrive(message)
        if options.get("again") != "yes":
            self._act(sender.id, lambda node: node.snapshot_sent(receiver.id, succeeded=succeeded))

    def show(self, names: list[str], options: Options) -> None:
        for member in self._named(names) if names else self.members.values():
            if member.node is not None:
                self._show(member, member.node)

    # ---- inside ----

    def _act(self, number: int, what: Callable[[RaftNode], object]) -> None:
        member = self.members[number]
        try:
            what(_running(member))
        finally:
            self._settle(member)

    def _arrive(self, message: RaftMessage) -> None:
        member = self.members[message.receiver]
        if (message.sender, message.receiver) in self.cuts or member.node is None:
            self._say(f"lost {_route(message)}: {_message(message)}")
            return
        verb = "hears" if message.receiver_directory_id == member.directory_id else "ignores"
        self._say(f"{member.name} {verb} {_who(message.sender_directory_id)}: {_message(message)}")
        member.node.step(message)
        self._settle(member)

    def _settle(self, member: Member) -> None:
        node = _running(member)
        ready = node.ready()
        self._tell_state(member)
        self._send(ready.messages)
        self._hand_on(member, ready)
        if ready.write is not None:
            self._say(f"{member.name} writes {_write(ready.write)}")
            member.writing = ready.write
            if not member.is_slow:
                self._finish(member)

    def _hand_on(self, member: Member, ready: Ready) -> None:
        if ready.committed:
            first, last = ready.committed[0].index, ready.committed[-1].index
            assert first == member.applied + 1
            member.applied = last
            self._say(f"{member.name} applies {' '.join(map(_entry, ready.committed))}")
        for context, index in ready.reads:
            self._say(f"{member.name} may answer read {context} once it has applied {index}")
        for peer in ready.snapshots:
            self._say(f"{member.name} must send {peer} a snapshot")

    def _finish(self, member: Member) -> None:
        write, member.writing = member.writing, None
        assert write is not None
        member.do(write)
        if write.snapshot is not None:
            member.applied = write.snapshot.index
        if member.is_slow:
            self._say(f"{member.name} has written")
        self._send(write.messages)
        _running(member).advance(write)
        self._settle(member)

    def _send(self, messages: list[RaftMessage]) -> None:
        for message in messages:
            sender, receiver = _who(message.sender_directory_id), _who(message.receiver_directory_id)
            self._say(f"{sender} sends {receiver}: {_message(message)}")
        self.mail += messages

    def _tell_state(self, member: Member) -> None:
        state = _state(_running(member))
        if state != member.told:
            member.told = state
            self._say(f"{member.name} is {state}")

    def _show(self, member: Member, node: RaftNode) -> None:
        log = node.log
        entries = " ".join(map(_entry, log.slice(log.base_index + 1, log.last_index)))
        base = f"snapshot {log.base_index}/{log.base_term}, " if log.base_index else ""
        self._say(
            f"{member.name} is {_state(node)}: {base}{entries or 'nothing'}; committed {log.committed_index}"
        )
        status = node.status()
        for each in status.members:
            life = "" if each.coordinator_id == node.leader else f" {each.state.value}"
            silent = "" if each.recently_active else ", silent"
            self._say(f"  {_who(each.directory_id)}{life} has {each.match_index}, lacks {each.lag}{silent}")

    def _overview(self) -> list[str]:
        self.lines = []
        for member in self.members.values():
            if member.node is not None:
                log = member.node.log
                self._say(
                    f"{member.name} is {_state(member.node)}, log up to {log.last_index}/{log.last_term}, "
                    f"committed {log.committed_index}"
                )
        return self.lines

    def _take(self, names: list[str]) -> list[RaftMessage]:
        taken = [each for each in self.mail if not names or _matches(each, names)]
        self.mail = [each for each in self.mail if not any(each is one for one in taken)]
        return taken

    def _named(self, names: list[str]) -> list[Member]:
        return [self.members[int(name)] for name in names]

    def _set_log(self, member: Member, terms: list[int], quorum: QuorumRecord) -> None:
        member.entries = [
            RaftEntry(
                index=index,
                term=term,
                data=b"quorum" if index == 1 else b"%d" % index,
                quorum=quorum if index == 1 else None,
            )
            for index, term in enumerate(terms, start=1)
        ]
        member.hard_state = HardState(terms[-1], 0, 0)

    def _quorum(self, voters: list[int], learners: list[int]) -> QuorumRecord:
        members = []
        for number in sorted(voters + learners):
            member = self.members.get(number) or Member(number)
            members.append(
                QuorumMember(coordinator_id=number, directory_id=member.directory_id, voter=number in voters)
            )
        return QuorumRecord(cluster_epoch=1, members=members)

    def _say(self, line: str) -> None:
        self.lines.append(line)


def _running(member: Member) -> RaftNode:
    assert member.node is not None, f"{member.name} does not run"
    return member.node


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def _matches(message: RaftMessage, patterns: list[str]) -> bool:
    for pattern in patterns:
        sender, _, receiver = pattern.partition(">")
        if sender in ("*", str(message.sender)) and receiver in ("*", str(message.receiver)):
            return True
    return False


def _route(message: RaftMessage) -> str:
    return f"{_who(message.sender_directory_id)} to {_who(message.receiver_directory_id)}"


def _who(directory_id: bytes) -> str:
    return directory_id.decode().rstrip(".")


def _state(node: RaftNode) -> str:
    following = f" of {node.leader}" if node.role is Role.FOLLOWER and node.leader else ""
    return f"{node.role.value}{following} in term {node.term}"


def _quorum_text(quorum: QuorumRecord) -> str:
    members = (
        _who(each.directory_id) if each.voter else f"({_who(each.directory_id)})" for each in quorum.members
    )
    return "{" + " ".join(members) + "}"


def _entry(entry: RaftEntry) -> str:
    data = entry.data.decode().rstrip(".")
    what = _quorum_text(entry.quorum) if entry.HasField("quorum") else f"'{data}'"
    return f"{entry.index}/{entry.term} {what}"


def _write(write: Write) -> str:
    parts = []
    if write.hard_state is not None:
        parts.append(
            f"term {write.hard_state.term} vote {write.hard_state.vote or '-'}"
            f" commit {write.hard_state.committed_index}"
        )
    if write.snapshot is not None:
        parts.append(f"snapshot {write.snapshot.index}/{write.snapshot.last_term} in place of the log")
    if write.truncate_from:
        parts.append(f"nothing from {write.truncate_from} on")
    return ", ".join(parts + [_entry(each) for each in write.entries])


def _message(message: RaftMessage) -> str:
    kind = str(message.WhichOneof("body"))
    return f"{_BODIES[kind](getattr(message, kind))}, term {message.term}"


def _vote_request(body) -> str:
    name = "pre-vote?" if body.pre_vote else "vote?"
    handed = " handed over" if body.is_transfer else ""
    return f"{name} log up to {body.last_index}/{body.last_term}{handed}"


def _vote_response(body) -> str:
    return f"{'pre-vote' if body.pre_vote else 'vote'} {'yes' if body.granted else 'no'}"


def _append_request(body) -> str:
    entries = " ".join(map(_entry, body.entries)) or "nothing"
    return (
        f"append after {body.previous_index}/{body.previous_term}: {entries}, commit {body.committed_index}"
    )


def _append_response(body) -> str:
    if body.rejected:
        return f"has no such {body.index}, at most {body.hint_index}/{body.hint_term}"
    return f"has up to {body.index}"


_BODIES: dict[str, Callable[..., str]] = {
    "vote_request": _vote_request,
    "vote_response": _vote_response,
    "append_request": _append_request,
    "append_response": _append_response,
    "heartbeat": lambda body: f"heartbeat {body.round}, commit {body.committed_index}",
    "heartbeat_response": lambda body: f"heartbeat {body.round} heard",
    "read_request": lambda body: f"read {body.context}?",
    "read_response": lambda body: f"read {body.context} at {body.index}",
    "snapshot_received": lambda body: f"snapshot {body.index}/{body.last_term} is here",
    "timeout_now": lambda body: "campaign now",
}

_COMMANDS: dict[str, Callable[[Scenario, list[str], Options], None]] = {
    "nodes": Scenario.nodes,
    "log": Scenario.log,
    "limits": Scenario.limit,
    "crash": Scenario.crash,
    "restart": Scenario.restart,
    "wipe": Scenario.wipe,
    "tick": Scenario.tick,
    "timeout": Scenario.timeout,
    "elect": Scenario.elect,
    "deliver": Scenario.deliver,
    "settle": Scenario.settle,
    "drop": Scenario.drop,
    "hold": Scenario.hold,
    "release": Scenario.release,
    "repeat": Scenario.repeat,
    "reverse": Scenario.reverse,
    "cut": Scenario.cut,
    "mend": Scenario.mend,
    "slow": Scenario.slow,
    "persist": Scenario.persist,
    "fast": Scenario.fast,
    "propose": Scenario.propose,
    "quorum": Scenario.quorum,
    "read": Scenario.read,
    "transfer": Scenario.transfer,
    "unreachable": Scenario.unreachable,
    "compact": Scenario.compact,
    "snapshot": Scenario.snapshot,
    "show": Scenario.show,
}
