"""What needs an optional dependency; each module says which extra brings it."""
