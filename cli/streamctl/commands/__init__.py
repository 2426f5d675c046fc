"""One noun a file. Modules import what is heavy inside their functions, so that `--help` stays fast."""
