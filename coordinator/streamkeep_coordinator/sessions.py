"""Who is alive, as the active coordinator judges it. Pure: events and the time in, who is to be fenced out.

A broken stream is a hint and a missed deadline is proof:

  state     what happened                       the broker is fenced
  OPEN      heartbeats come                     `timeout_s` after the last one
  BROKEN    the stream broke                    `grace_s` after that, unless it is opened again
  DOUBTED   it broke with most of the others    `timeout_s` after the last heartbeat, unless opened again
  AWAITED   this coordinator became active      `reopen_s` after that and `grace_s` after more than half of
                                                the awaited have come; else `timeout_s` after it

A judge that loses more than half of its sessions within one grace is itself the likely one to be cut off,
so all that broke become DOUBTED. AWAITED are the brokers that were not fenced when this coordinator became
active. Whoever *asks* to open its session again has proved that it lives, and waits for the judge: it is not
fenced before it was answered, however long its registration takes to be committed, and has `timeout_s` from
then on. A judge that was stalled could not hear: all deadlines
move by a stall of more than 100 ms. And one that hears none of its brokers any more, though it had some, is
*deserted*: it is to let another coordinator judge before it fences them.

Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from streamkeep_common.errors import BrokerIdInUseError

TICK_S = 0.05
"""How often `tick` is to be called."""

STALL_S = 0.1
"""A tick that is later than this was kept from running, and so was everything else here."""


class State(Enum):
    """See the table above."""

    OPEN = "open"
    BROKEN = "broken"
    DOUBTED = "doubted"
    AWAITED = "awaited"


@dataclass(slots=True)
class Session:
    """For `Sessions` only."""

    broker_id: int
    broker_epoch: int
    incarnation_id: bytes
    state: State
    stream: int  # the newest stream of this session; an older one that breaks means nothing
    heard_at: float
    broken_at: float = 0.0
    asks: bool = False
    unanswered: int = 0  # registrations under way, on as many streams


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """Defaults as in the settings table."""

    timeout_s: float = 3.0
    grace_s: float = 0.3
    reopen_s: float = 0.7


class Sessions:
    """The sessions of one active coordinator, from `now`, the moment at which it became active."""

    def __init__(self, times: SessionTimes, now: float) -> None:
        self._times = times
        self._sessions: dict[int, Session] = {}
        self._streams = 0
        self._started_at = now
        self._ticked_at = now
        self._awaited = 0
        self._came = 0
        self._most_came_at: float | None = None
        self._had_company = False
        self._alone_since: float | None = None

    @property
    def open_count(self) -> int:
        return sum(session.state is State.OPEN for session in self._sessions.values())

    def state(self, broker_id: int) -> State | None:
        """None: there is no session, so the broker is fenced or about to be."""
        session = self._sessions.get(broker_id)
        return None if session is None else session.state

    def await_broker(self, broker_id: int, broker_epoch: int, incarnation_id: bytes) -> None:
        """A broker that was not fenced before this coordinator became active."""
        self._awaited += 1
        self._sessions[broker_id] = Session(
            broker_id, broker_epoch, incarnation_id, State.AWAITED, 0, self._started_at
        )

    def check_may_register(self, broker_id: int, incarnation_id: bytes) -> None:
        """BrokerIdInUseError while the stream of another incarnation is open."""
        session = self._sessions.get(broker_id)
        if session and session.state is State.OPEN and session.incarnation_id != incarnation_id:
            raise BrokerIdInUseError(f"another process with broker id {broker_id} is alive")

    def asked(self, broker_id: int, incarnation_id: bytes, now: float) -> Session | None:
        """A broker begins to register. If it is known by this incarnation, it wants its session to go on: to
        be given to `answered` in the end.
        """
        session = self._sessions.get(broker_id)
        if session is None or session.incarnation_id != incarnation_id:
            return None
        if session.state is State.AWAITED and not session.asks:
            self._one_came(now)
        session.asks = True
        session.unanswered += 1
        return session

    def answered(self, session: Session, now: float) -> None:
        """It is registered, or refused, or its stream is gone."""
        session.unanswered -= 1
        session.heard_at = max(session.heard_at, now)

    def open(self, broker_id: int, broker_epoch: int, incarnation_id: bytes, now: float) -> int:
        """A stream of a registered broker begins; the number by which `heard` and `broke` know it."""
        known = self._sessions.get(broker_id)
        if known is not None and known.state is State.AWAITED and not known.asks:
            self._one_came(now)
        self._had_company, self._alone_since = True, None
        self._streams += 1
        self._sessions[broker_id] = Session(
            broker_id, broker_epoch, incarnation_id, State.OPEN, self._streams, now
        )
        return self._streams

    def is_current(self, broker_id: int, stream: int) -> bool:
        """No newer stream and no fencing has ended this one."""
        session = self._sessions.get(broker_id)
        return session is not None and session.stream == stream

    def heard(self, broker_id: int, stream: int, now: float) -> None:
        """A heartbeat."""
        if self.is_current(broker_id, stream):
            self._sessions[broker_id].heard_at = now

    def broke(self, broker_id: int, stream: int, now: float) -> None:
        """The stream ended without a word."""
        if self.is_current(broker_id, stream):
            session = self._sessions[broker_id]
            session.state = State.BROKEN
            session.broken_at = now

    def leave(self, broker_id: int, stream: int) -> bool:
        """The broker has stopped in order: fence it without delay, if this was its newest stream."""
        is_current = self.is_current(broker_id, stream)
        if is_current:
            del self._sessions[broker_id]
        return is_current

    def tick(self, now: float) -> list[tuple[int, int]]:
        """Broker id and epoch of those to fence now; their sessions are over."""
        late = now - self._ticked_at - TICK_S
        self._ticked_at = now
        if late > STALL_S:
            self._extend(late)
        self._doubt()
        due = [session for session in self._sessions.values() if now >= self._deadline(session)]
        for session in due:
            del self._sessions[session.broker_id]
        return [(session.broker_id, session.broker_epoch) for session in due]

    def is_deserted(self, now: float) -> bool:
        """True once when, of the brokers that were in session, none has been heard for a while: their streams
        broke a grace ago, or are open and have been silent for half of the timeout. Whoever never had company
        is not deserted (it would be no better elsewhere), nor whoever was left in order.
        """
        if any(self._is_heard(session, now) for session in self._sessions.values()):
            self._had_company, self._alone_since = True, None
        elif self._had_company and any(each.state is not State.AWAITED for each in self._sessions.values()):
            self._alone_since = now if self._alone_since is None else self._alone_since
            if now >= self._alone_since + self._times.grace_s:
                self._had_company = False
                return True
        return False

    def _is_heard(self, session: Session, now: float) -> bool:
        return session.state is State.OPEN and now < session.heard_at + self._times.timeout_s / 2

    def _deadline(self, session: Session) -> float:
        silent = session.heard_at + self._times.timeout_s
        if session.unanswered:
            return math.inf
        if session.asks:
            return silent
        if session.state is State.BROKEN:
            return min(silent, session.broken_at + self._times.grace_s)
        if session.state is State.AWAITED and self._most_came_at is not None:
            times = self._times
            return min(silent, max(self._started_at + times.reopen_s, self._most_came_at + times.grace_s))
        return silent

    def _one_came(self, now: float) -> None:
        """An awaited broker is here; those that noticed as it did that another is active are close behind."""
        self._came += 1
        if self._most_came_at is None and self._came * 2 > self._awaited:
            self._most_came_at = now

    def _doubt(self) -> None:
        """More than half are broken: whoever judges is the one that is cut off. None of them is older than
        one grace, else it would have been fenced, or is in doubt already. Brokers that have not come yet say
        nothing about that, either way.
        """
        begun = [each for each in self._sessions.values() if each.state is not State.AWAITED]
        broken = [each for each in begun if each.state is not State.OPEN]
        if len(broken) * 2 > len(begun):
            for session in broken:
                session.state = State.DOUBTED

    def _extend(self, seconds: float) -> None:
        self._started_at += seconds
        if self._alone_since is not None:
            self._alone_since += seconds
        if self._most_came_at is not None:
            self._most_came_at += seconds
        for session in self._sessions.values():
            session.heard_at += seconds
            session.broken_at += seconds
