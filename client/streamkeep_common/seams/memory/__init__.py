"""The seams within one process: a network without sockets and a disk without files, on the real clock.

For tests that want real coordinators and brokers, and want them at once. Unlike the simulation's, nothing
here goes wrong by itself; a server can be killed, and that is all. Must not import grpc.
"""
