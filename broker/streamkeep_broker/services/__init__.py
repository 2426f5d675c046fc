"""What clients call: produce and fetch streams, offsets, producer ids, log directories."""
