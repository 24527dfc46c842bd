"""The ledger of a client without tracking. Replies have their cost, and the sum of the session is in memory."""

from __future__ import annotations

import time
from decimal import Decimal

from .booking import Opening
from .budgets import Budgets, Hold
from .columns import Head, Settlement
from .units import to_dollars


class SessionCosts:
    """Takes the place of a `Ledger` (``cost_tracking: {enabled: false}``). It has no rows, no budgets and no thread."""

    def __init__(self) -> None:
        self.session = ""
        self.budgets: Budgets = Budgets()
        self._cost = 0
        self._unpriced = 0

    def now(self) -> int:
        """Microseconds since 1970."""
        return int(time.time() * 1e6)

    async def open(self, head: Head, hold: Hold | None = None) -> Opening:
        """Opens an attempt. Nothing is written."""
        return self.open_at_once(head, hold)

    def open_at_once(self, head: Head, hold: Hold | None = None) -> Opening:
        """As `open`."""
        return Opening("", self.now(), head, hold, None)

    def settle(self, opening: Opening, settlement: Settlement | None) -> None:
        """Settles an attempt. A second time does nothing."""
        if opening.settled:
            return
        opening.settled = True
        if settlement is not None:
            if settlement.cost is None:
                self._unpriced += 1
            else:
                self._cost += settlement.cost

    def session_cost(self) -> Decimal:
        """US dollars of everything settled so far, without what has no known cost."""
        return to_dollars(self._cost)

    def session_unpriced(self) -> int:
        """How many attempts have no known cost."""
        return self._unpriced

    async def aclose(self) -> None:
        """Does nothing: there is nothing to write."""
