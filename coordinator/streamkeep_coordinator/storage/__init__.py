"""The coordinator's data directory: identity, write-ahead log, snapshots. It decides nothing."""
