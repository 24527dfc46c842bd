"""Canonical values: what a message, a request, a reply and a stream of events are, for every provider.

Standard library only; frozen and slotted; no I/O, no clock, no randomness.
"""
