"""What happens to a call: its targets, its attempts, its deadline, its stream.

``options`` and ``intake`` read what the caller wrote; ``router`` orders targets; ``exchange`` is one HTTP attempt;
``fallback`` goes from target to target; ``unary`` and ``stream`` are the two kinds of call; ``background`` and
``watch`` are what goes on beside them; ``lifetime`` says which loop all of it belongs to. The engine knows no wire
format, no host and no HTTP library.
"""
