"""Worked examples, a page at a time."""
