"""The broker's side of the coordinators: its session with the active one, and its copy of the image."""
