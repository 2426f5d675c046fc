"""Records as text: format strings, offset grammar, lines and JSON. Pure: no cluster, no terminal."""
