"""The follower's side of replication: a replica made equal to its leader's, and kept so."""
