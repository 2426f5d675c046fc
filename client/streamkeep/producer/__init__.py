"""Writing records. `producer.py` is what users hold; `sender.py` and `produce_link.py` are the shells; what
decides (accumulator, sequencer, dispatch, answers) is pure.

Producer → accumulator (queues of batches) → dispatch (what goes into a request) → produce_link (a stream)
   ↑            ↑ sequencer (exactly once, in order)                                      ↓ answers
 long_way    delivery (outcomes) ←―――――――――――――――――― sender (leaders, waits, timeouts) ←――――
 (interceptors, then encoding: for all but plain bytes)
"""
