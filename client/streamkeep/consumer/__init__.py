"""Reading records. `consumer.py` is what users hold; `partition_reader.py` is pure, and decides what is
handed out; `fetcher.py` and `fetch_link.py` are the shells that keep it supplied.

fetch_link (a stream) → partition_reader (what was fetched, credit) → fetcher (whose turn it is)
                                                                        ↓ batches of bytes
    application ← consumer (iteration) ← interceptors ← decoding (serializers; not for plain bytes)
"""
