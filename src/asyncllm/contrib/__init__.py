"""Modules that need an optional dependency. Each one names its extra."""
