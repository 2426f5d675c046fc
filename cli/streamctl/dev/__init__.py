"""A whole cluster of real processes on one machine: planned, started, watched and stopped."""
