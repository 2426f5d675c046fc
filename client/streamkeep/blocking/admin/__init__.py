"""Administration of a cluster from threads."""
