"""What agreement leads to: the image, the watchers' feed and the duty to judge follow what is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.active_duty import ActiveDuty
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.metadata.election_kinds import ElectionKind, elections
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry

MAX_NAMED = 20
"""Partitions that one message of the log names."""

_logger = logging.getLogger(__name__)


class MetadataMachine:
    """The StateMachine of a coordinator. `on_commit` gets each entry applied, and its size in bytes;
    `on_activate` is called when this coordinator has become the active one; `on_elected` gets the kind of
    each election that is committed while it is.
    """

    def __init__(
        self,
        images: Images,
        controller: Controller,
        duty: ActiveDuty,
        *,
        on_commit: Callable[[MetadataEntry, int], None],
        on_activate: Callable[[], None],
        on_elected: Callable[[ElectionKind], None],
    ) -> None:
        self._images = images
        self._controller = controller
        self._duty = duty
        self._on_commit = on_commit
        self._on_activate = on_activate
        self._on_elected = on_elected
        self._is_active = False

    def commit(self, entry: MetadataEntry, size: int) -> None:
        before = self._images.committed
        self._images.commit(entry, size)
        self._on_commit(entry, size)
        if self._is_active:
            self._look_at_elections(before, entry)

    def install(self, image: ClusterImage, term: int) -> None:
        self._images.install(image, term)

    def activate(self, term: int) -> None:
        assert self._images.committed_term == term, f"active in {term}, applied {self._images.committed_term}"
        self._is_active = True
        self._images.begin()
        self._duty.begin()
        self._on_activate()

    def deactivate(self) -> None:
        self._is_active = False
        self._images.end()
        self._duty.end(self._controller.refusal())

    def _look_at_elections(self, before: ClusterImage, entry: MetadataEntry) -> None:
        unclean = []
        for election in elections(before, self._images.committed, entry.records):
            self._on_elected(election.kind)
            if election.kind is ElectionKind.UNCLEAN:
                unclean.append(f"{election.partition} by broker {election.leader}")
        if unclean:
            named = ", ".join(unclean[:MAX_NAMED]) + (" and more" if len(unclean) > MAX_NAMED else "")
            _logger.error(
                "acknowledged records may be lost: %d partitions are led by a replica that was neither in "
                "sync nor eligible: %s",
                len(unclean),
                named,
            )
