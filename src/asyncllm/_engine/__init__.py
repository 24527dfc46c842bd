"""The engine: targets, attempts, deadlines and streams of a call.

In the order of a call:

=============  ========================================================================================================
``intake``     what the caller wrote, read once (``formats``: what ``response_format`` means)
``routing``    the chain that the call names, or what a strategy chooses (``strategies``, with ``forecast``)
``target``     a target, and what may follow an error there
``lifetime``   the process and the loop that it all belongs to, background tasks, the watch over streams
``call``       the state of one call, and what it ends with
``sending``    hedging, then fallback, then retries
``health``     what is known of targets; the permit of an attempt
``limits``     what may be sent; the turn of an attempt
``attempt``    one HTTP attempt, from its permit to its settlement
``channel``    a streamed reply, up to its first content and on to its end
``stream``     the stream that the caller holds
``questions``  lists, counts and proofs: attempts like all others
=============  ========================================================================================================

The engine knows no wire format, no host and no HTTP library.
"""
