"""Stores: where what must survive a restart is kept."""
