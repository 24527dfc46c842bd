"""The wire formats the simulator speaks, a file each."""
