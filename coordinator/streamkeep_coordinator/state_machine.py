"""What agreement leads to: the image, the watchers' feed and the duty to judge follow what is committed."""

from __future__ import annotations

from collections.abc import Callable

from streamkeep_common.image import ClusterImage
from streamkeep_coordinator.controller import Controller
from streamkeep_coordinator.images import Images
from streamkeep_coordinator.session_duty import SessionDuty
from streamkeep_proto.v1.metadata_pb2 import MetadataEntry


class MetadataMachine:
    """The StateMachine of a coordinator. `on_commit` gets each entry applied, and its size in bytes;
    `on_activate` is called when this coordinator has become the active one.
    """

    def __init__(
        self,
        images: Images,
        controller: Controller,
        duty: SessionDuty,
        *,
        on_commit: Callable[[MetadataEntry, int], None],
        on_activate: Callable[[], None],
    ) -> None:
        self._images = images
        self._controller = controller
        self._duty = duty
        self._on_commit = on_commit
        self._on_activate = on_activate

    def commit(self, entry: MetadataEntry, size: int) -> None:
        self._images.commit(entry, size)
        self._on_commit(entry, size)

    def install(self, image: ClusterImage, term: int) -> None:
        self._images.install(image, term)

    def activate(self, term: int) -> None:
        assert self._images.committed_term == term, f"active in {term}, applied {self._images.committed_term}"
        self._images.begin()
        self._duty.begin()
        self._on_activate()

    def deactivate(self) -> None:
        self._images.end()
        self._duty.end(self._controller.refusal())
