"""Toolwright: small language models that reason with tools."""

__version__ = "0.1.0"
