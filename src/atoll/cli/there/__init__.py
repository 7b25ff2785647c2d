"""There: what commands do on a hub; the same options, lines and exit codes as on this machine."""
