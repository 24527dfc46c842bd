"""The command line: one file a command, each with ``configure(parser)`` and ``run(arguments)``.

Rules of a command: results go to stdout, remarks to stderr; an error is one sentence on stderr and exit code 1, wrong
usage is 2, Ctrl-C is 130, a reader that went away is 141, as shells count them. What is slow to import is imported when
the command runs.
"""
