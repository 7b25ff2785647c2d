"""Stand-ins that keep the contracts, for our tests and for plug-in authors."""
