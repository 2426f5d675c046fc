"""The shell around Raft: ticks, writes, streams between coordinators, snapshots, and who is a member.

`raft` decides and does nothing; what it says is carried out here. Nothing here knows what the entries mean,
but for who keeps the log.
"""
