"""The demo: a month of real departures through a real cluster, and the proof that none is missing."""
