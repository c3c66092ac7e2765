"""The tape to look at: printed, drawn, stepped through, and written out as a plain NumPy program."""

from .entry import Entry
from .program import Tape
from .record import tape

__all__ = ["Entry", "Tape", "tape"]
