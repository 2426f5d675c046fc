"""Reading records. `consumer.py` is what users hold; `partition_reader.py` is pure, and decides what is
handed out; `fetcher.py` and `fetch_link.py` are the shells that keep it supplied.
"""
