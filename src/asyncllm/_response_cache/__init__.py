"""Replies that are kept, so that the same request is not paid for twice."""
