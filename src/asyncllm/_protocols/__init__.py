"""The wire formats, without I/O: canonical values to wire JSON and back. Each has a folder with the same file names.

A codec knows no host: what differs between hosts of one format is data given to its constructor. It imports no clock,
no randomness and no JSON library: what it needs is in the `base.Context` of each call.
"""
