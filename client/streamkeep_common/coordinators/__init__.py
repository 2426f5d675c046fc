"""How brokers and clients find the coordinator that can answer, whichever others are dead, hung or wrong."""

from streamkeep_common.coordinators.addresses import CoordinatorAddresses
from streamkeep_common.coordinators.search import Search, Verdict

__all__ = ["CoordinatorAddresses", "Search", "Verdict"]
