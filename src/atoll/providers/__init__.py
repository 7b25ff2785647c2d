"""Providers: where repositories come from. Strangers to one another, loaded by entry point."""
