"""Atoll: open a repository, get a running JupyterLab, keep what you did."""

__version__ = "0.1.0"
