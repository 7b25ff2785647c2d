"""Cli: the `atoll` command."""
