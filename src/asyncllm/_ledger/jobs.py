"""Jobs at a provider in the books: what outlives the process that made them.

A job is a row of the table ``jobs``. Each of its lines is a row of the table of open attempts whose owner is the job
and no process: so its reservation belongs to the job, and no recovery of dead processes touches it. Whoever reads the
answer of a line settles it; who comes first counts. When the answers of a job are deleted at the host, what nobody has
read is booked as ``unknown`` at its reservation, like the attempts of a process that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from .._schema.values import dataclass
from .booking import Booked, Opening, Operation, Settling
from .units import new_ulid

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import AsyncLLMError

OWNER = "job:"
"""What the owner of a line begins with; the id of the job follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job, as the ledger keeps it.

    Attributes:
        id: what its maker called it, or a ULID.
        created: microseconds since 1970.
        expires_at: when its answers are deleted at the host, microseconds since 1970; None while that is not known.
        state: of the whole job.
        data: what else its maker must know, as JSON.
    """

    id: str
    created: int
    expires_at: int | None
    state: str
    data: str

    def written(self) -> tuple[str, int, int | None, str, str]:
        """The values of the row."""
        return self.id, self.created, self.expires_at, self.state, self.data


def line_id(created: int, mark: str, index: int) -> str:
    """The id of a line's record: a ULID that follows from the job and the place of the line."""
    return new_ulid(created // 1000, blake2b(f"{mark}:{index}".encode(), digest_size=16).digest())


def reserve(openings: Sequence[Opening], write: Callable[[Sequence[Operation]], Booked]) -> AsyncLLMError | None:
    """Opens all lines of a job, or none of them.

    Args:
        openings: the lines.
        write: books operations in one transaction.

    Returns:
        Why a budget has no room for all of them; None where they are open.
    """
    booked = write(openings)
    if booked.refused:
        write([Settling(opening, None) for opening in openings if not opening.refused])
        return booked.refused[0].refusal
    return None
