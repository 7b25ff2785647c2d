"""The local engine: environments are folders, servers run in bubblewrap boxes on this machine."""
