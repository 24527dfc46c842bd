"""What happens to a call: its targets, its attempts, its deadline, its stream.

What the caller wrote is read by ``options`` and ``intake``. Where a call goes: ``targeting`` makes the chain it
names, ``routing`` asks a strategy (``strategies``, ``capability``, with the help of ``estimate``), ``router`` says
what may follow an error. How it gets there: ``call`` is its state, ``exchange`` one HTTP attempt, ``fallback`` goes
from attempt to attempt and from target to target, ``retry`` and ``quota`` decide about pauses, ``hedge`` runs a
second line beside the first. What keeps it away: ``health`` and ``breaker`` know the targets, ``limits`` and
``meter`` what may be sent; ``admission`` is the leave of one attempt, ``attempts`` the record of all. ``unary`` and
``stream`` (with ``opening`` and ``channel``) are the two kinds of call; ``background`` and ``watch`` are what goes on
beside them; ``lifetime`` says which loop all of it belongs to. The engine knows no wire format, no host and no HTTP
library.
"""
