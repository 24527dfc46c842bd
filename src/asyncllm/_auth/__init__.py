"""Credentials: what goes into the headers of a request, and where it comes from."""
