"""The seams on a real machine: its clock, threads, disks and network."""
