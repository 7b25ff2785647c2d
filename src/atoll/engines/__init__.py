"""Engines: places to build and run. Strangers to one another, loaded by entry point."""
