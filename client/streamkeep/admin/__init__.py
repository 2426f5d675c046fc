"""Administration: topics, settings, the cluster, offsets and log directories."""
