"""The canonical values of all providers: messages, requests, replies and events.

Standard library only; frozen and slotted; no I/O, no clock, no randomness.
"""
