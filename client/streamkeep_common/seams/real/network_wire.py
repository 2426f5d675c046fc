"""What both sides of the gRPC network share: options and status codes.

Importing this imports grpc. Only `network*.py` beside it may do so.
"""

from __future__ import annotations

from typing import Final

import grpc
import grpc.aio

from streamkeep_common.limits import MAX_MESSAGE_BYTES
from streamkeep_common.seams.network import Status

Options = tuple[tuple[str, int], ...]

KEEPALIVE_MS: Final = 10_000
"""How long a connection may be silent before a ping asks whether the other machine still exists."""
KEEPALIVE_TIMEOUT_MS: Final = 5_000
HANDSHAKE_TIMEOUT_MS: Final = 10_000
"""A client that connects and says nothing is dropped after this."""
MAX_STREAMS_PER_CONNECTION: Final = 1_000
STREAM_WINDOW_BYTES: Final = 1024 * 1024
"""What a client may send on a stream ahead of the server's reading."""

_COMMON_OPTIONS: Final[Options] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

CLIENT_OPTIONS: Final[Options] = (
    *_COMMON_OPTIONS,
    # The defaults (1 s growing to 120 s) are fatal to failover.
    ("grpc.initial_reconnect_backoff_ms", 50),
    # Despite its name, how long one attempt to connect may last: 50 ms would never reach another continent.
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # Else two channels to one address share a connection, and with it flow control.
    ("grpc.use_local_subchannel_pool", 1),
    # Streamkeep retries by its own rules; a proxy from the environment is for web pages.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)

SERVER_OPTIONS: Final[Options] = (
    *_COMMON_OPTIONS,
    # Two servers on one port would each get some of the connections: a taken port must be an error.
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
    # Left to itself gRPC widens the window of every connection that is fast: 200 clients that send as fast
    # as they can then take 1.1 GB of the server, against 0.4 GB with a window that stays, at equal speed.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", STREAM_WINDOW_BYTES),
)

_NUMBERS: Final = {status.value: status for status in Status}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def status_of(code: grpc.StatusCode) -> Status:
    """Codes that the seam does not name become UNKNOWN."""
    return _NUMBERS.get(code.value[0], Status.UNKNOWN)


def code_of(status: Status) -> grpc.StatusCode:
    return _CODES[status.value]
