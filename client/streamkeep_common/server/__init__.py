"""What every server process shares: logs, metrics and its life from start to stop.

Needs the [server] extra. Clients never import it.
"""
