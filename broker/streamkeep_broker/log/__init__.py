"""Logs on disk. `partition_log` is the log of one partition, `manager` all logs of a broker."""
