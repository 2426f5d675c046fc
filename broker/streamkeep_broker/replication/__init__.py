"""Partitions: who leads them, what is acknowledged, who waits for it."""
