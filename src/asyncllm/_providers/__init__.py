"""Hosts as data: a file a host, and one table for the OpenAI-compatible ones."""
