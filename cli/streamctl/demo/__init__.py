"""The demo: a month of real departures, a broker killed in the middle, and the proof that none is lost."""
