"""What pytest gets from Streamkeep.

A package of its own: pytest imports it in every run wherever Streamkeep is installed, and to import anything
of the SDK would be to load all of it.
"""
