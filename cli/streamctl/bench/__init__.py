"""How fast a cluster takes and gives records, and how long one is on its way."""
