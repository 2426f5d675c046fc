"""Clusters that have names: kept in a file, chosen by a command, coloured where it is dangerous."""
