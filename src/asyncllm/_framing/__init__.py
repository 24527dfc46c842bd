"""Framers: they turn bytes into frames without I/O, incrementally, with bounds, in linear time."""
