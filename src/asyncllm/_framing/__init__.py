"""Bytes -> frames, sans-IO: incremental, bounded, linear in the bytes fed."""
