"""Canonical values <-> wire JSON, sans-IO: a folder a wire format, each with its request, its response and its stream.

A codec knows no host: what differs between hosts of one format is data given to its constructor. It imports no clock,
no randomness and no JSON library: what it needs is in the `base.Context` of each call.
"""
