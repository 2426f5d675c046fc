"""Every RPC by name and type. A test compares this list with the service descriptors."""

from __future__ import annotations

from streamkeep_common.seams.network import StreamMethod, UnaryMethod
from streamkeep_proto.v1 import broker_pb2 as broker
from streamkeep_proto.v1 import coordinator_pb2 as coordinator
from streamkeep_proto.v1 import raft_pb2 as raft
from streamkeep_proto.v1 import replication_pb2 as replication
from streamkeep_proto.v1 import settings_pb2 as settings

BROKER_SERVICE = "streamkeep.v1.BrokerService"
METADATA_SERVICE = "streamkeep.v1.MetadataService"
ADMIN_SERVICE = "streamkeep.v1.AdminService"
SESSION_SERVICE = "streamkeep.v1.SessionService"
RAFT_SERVICE = "streamkeep.v1.RaftService"
QUORUM_SERVICE = "streamkeep.v1.QuorumService"
REPLICATION_SERVICE = "streamkeep.v1.ReplicationService"
SETTINGS_SERVICE = "streamkeep.v1.SettingsService"

# --- BrokerService ---
INIT_PRODUCER = UnaryMethod(
    f"/{BROKER_SERVICE}/InitProducer", broker.InitProducerRequest, broker.InitProducerResponse
)
PRODUCE = StreamMethod(f"/{BROKER_SERVICE}/Produce", broker.ProduceRequest, broker.ProduceResponse)
FETCH = StreamMethod(f"/{BROKER_SERVICE}/Fetch", broker.FetchRequest, broker.FetchResponse)
LIST_OFFSETS = UnaryMethod(
    f"/{BROKER_SERVICE}/ListOffsets", broker.ListOffsetsRequest, broker.ListOffsetsResponse
)
DELETE_RECORDS = UnaryMethod(
    f"/{BROKER_SERVICE}/DeleteRecords", broker.DeleteRecordsRequest, broker.DeleteRecordsResponse
)
DESCRIBE_PRODUCERS = UnaryMethod(
    f"/{BROKER_SERVICE}/DescribeProducers",
    broker.DescribeProducersRequest,
    broker.DescribeProducersResponse,
)
DESCRIBE_LOG_DIRS = UnaryMethod(
    f"/{BROKER_SERVICE}/DescribeLogDirs", broker.DescribeLogDirsRequest, broker.DescribeLogDirsResponse
)

# --- MetadataService ---
GET_METADATA = UnaryMethod(
    f"/{METADATA_SERVICE}/GetMetadata", coordinator.GetMetadataRequest, coordinator.GetMetadataResponse
)
WATCH = StreamMethod(f"/{METADATA_SERVICE}/Watch", coordinator.WatchRequest, coordinator.WatchResponse)

# --- AdminService ---
CREATE_TOPICS = UnaryMethod(
    f"/{ADMIN_SERVICE}/CreateTopics", coordinator.CreateTopicsRequest, coordinator.CreateTopicsResponse
)
DELETE_TOPICS = UnaryMethod(
    f"/{ADMIN_SERVICE}/DeleteTopics", coordinator.DeleteTopicsRequest, coordinator.DeleteTopicsResponse
)
ADD_PARTITIONS = UnaryMethod(
    f"/{ADMIN_SERVICE}/AddPartitions", coordinator.AddPartitionsRequest, coordinator.AddPartitionsResponse
)
ALTER_TOPIC_SETTINGS = UnaryMethod(
    f"/{ADMIN_SERVICE}/AlterTopicSettings",
    coordinator.AlterTopicSettingsRequest,
    coordinator.AlterTopicSettingsResponse,
)
LIST_TOPICS = UnaryMethod(
    f"/{ADMIN_SERVICE}/ListTopics", coordinator.ListTopicsRequest, coordinator.ListTopicsResponse
)
DESCRIBE_TOPICS = UnaryMethod(
    f"/{ADMIN_SERVICE}/DescribeTopics", coordinator.DescribeTopicsRequest, coordinator.DescribeTopicsResponse
)
DESCRIBE_CLUSTER = UnaryMethod(
    f"/{ADMIN_SERVICE}/DescribeCluster",
    coordinator.DescribeClusterRequest,
    coordinator.DescribeClusterResponse,
)

DESCRIBE_TOPIC_SETTINGS = UnaryMethod(
    f"/{ADMIN_SERVICE}/DescribeTopicSettings",
    coordinator.DescribeTopicSettingsRequest,
    coordinator.DescribeTopicSettingsResponse,
)
DESCRIBE_FEATURES = UnaryMethod(
    f"/{ADMIN_SERVICE}/DescribeFeatures",
    coordinator.DescribeFeaturesRequest,
    coordinator.DescribeFeaturesResponse,
)
UPGRADE_FEATURES = UnaryMethod(
    f"/{ADMIN_SERVICE}/UpgradeFeatures",
    coordinator.UpgradeFeaturesRequest,
    coordinator.UpgradeFeaturesResponse,
)

REASSIGN_PARTITIONS = UnaryMethod(
    f"/{ADMIN_SERVICE}/ReassignPartitions",
    coordinator.ReassignPartitionsRequest,
    coordinator.ReassignPartitionsResponse,
)
ELECT_LEADERS = UnaryMethod(
    f"/{ADMIN_SERVICE}/ElectLeaders", coordinator.ElectLeadersRequest, coordinator.ElectLeadersResponse
)
DRAIN_BROKER = UnaryMethod(
    f"/{ADMIN_SERVICE}/DrainBroker", coordinator.DrainBrokerRequest, coordinator.DrainBrokerResponse
)
REMOVE_BROKER = UnaryMethod(
    f"/{ADMIN_SERVICE}/RemoveBroker", coordinator.RemoveBrokerRequest, coordinator.RemoveBrokerResponse
)

# --- SessionService ---
SESSION = StreamMethod(f"/{SESSION_SERVICE}/Session", coordinator.SessionRequest, coordinator.SessionResponse)
ALLOCATE_PRODUCER_IDS = UnaryMethod(
    f"/{SESSION_SERVICE}/AllocateProducerIds",
    coordinator.AllocateProducerIdsRequest,
    coordinator.AllocateProducerIdsResponse,
)

ALTER_PARTITIONS = UnaryMethod(
    f"/{SESSION_SERVICE}/AlterPartitions",
    coordinator.AlterPartitionsRequest,
    coordinator.AlterPartitionsResponse,
)
REPORT_REPLICAS = UnaryMethod(
    f"/{SESSION_SERVICE}/ReportReplicas",
    coordinator.ReportReplicasRequest,
    coordinator.ReportReplicasResponse,
)

# --- ReplicationService ---
REPLICATE = StreamMethod(
    f"/{REPLICATION_SERVICE}/Replicate", replication.ReplicateRequest, replication.ReplicateResponse
)
HASH_REPLICAS = UnaryMethod(
    f"/{REPLICATION_SERVICE}/HashReplicas", replication.HashReplicasRequest, replication.HashReplicasResponse
)

# --- RaftService ---
EXCHANGE = StreamMethod(f"/{RAFT_SERVICE}/Exchange", raft.RaftEnvelope, raft.RaftRefusal)
INSTALL_SNAPSHOT = StreamMethod(
    f"/{RAFT_SERVICE}/InstallSnapshot", raft.SnapshotChunk, raft.SnapshotInstalled
)
PROBE = UnaryMethod(f"/{RAFT_SERVICE}/Probe", raft.ProbeRequest, raft.ProbeResponse)

# --- QuorumService ---
INITIALIZE_CLUSTER = UnaryMethod(
    f"/{QUORUM_SERVICE}/InitializeCluster", raft.InitializeClusterRequest, raft.InitializeClusterResponse
)
DESCRIBE_QUORUM = UnaryMethod(
    f"/{QUORUM_SERVICE}/DescribeQuorum", raft.DescribeQuorumRequest, raft.DescribeQuorumResponse
)
ADD_COORDINATOR = UnaryMethod(
    f"/{QUORUM_SERVICE}/AddCoordinator", raft.AddCoordinatorRequest, raft.ChangeQuorumResponse
)
REMOVE_COORDINATOR = UnaryMethod(
    f"/{QUORUM_SERVICE}/RemoveCoordinator", raft.RemoveCoordinatorRequest, raft.ChangeQuorumResponse
)
TRANSFER_LEADERSHIP = UnaryMethod(
    f"/{QUORUM_SERVICE}/TransferLeadership", raft.TransferLeadershipRequest, raft.ChangeQuorumResponse
)

# --- SettingsService ---
DESCRIBE_PROCESS_SETTINGS = UnaryMethod(
    f"/{SETTINGS_SERVICE}/DescribeProcessSettings",
    settings.DescribeProcessSettingsRequest,
    settings.DescribeProcessSettingsResponse,
)
