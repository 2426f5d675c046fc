"""A real cluster for the tests of programs that use Streamkeep.

    with Cluster() as cluster:
        topic = cluster.topic()
        main(cluster.bootstrap, topic)          # the program under test
        assert [record.value for record in cluster.records(topic)] == [b"...", b"..."]

It is the shipping coordinator and broker code, by default within this process: on a network and disks in
memory, ready in some hundredths of a second. With pytest there is the fixture `streamkeep_cluster`. Needs the
extra `server` (`pip install '/path/to/streamkeep[server]'`). The guide is docs/testing.md.
"""

from streamkeep.testing.async_cluster import AsyncCluster
from streamkeep.testing.cluster import Cluster
from streamkeep.testing.failures import ClusterError, MissingExtraError

__all__ = ["AsyncCluster", "Cluster", "ClusterError", "MissingExtraError"]
