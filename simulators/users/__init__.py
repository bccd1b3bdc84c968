"""Simulated users: they know a goal and some facts, speak first, and leave when nothing is asked of them."""

from simulators.users.asking_user import AskingUser
from simulators.users.ledger_user import AnyVoice, LedgerUser, ListeningVoice, Voice
from simulators.users.personas import PersonaMix, draw_persona, with_slips

__all__ = ["AnyVoice", "AskingUser", "LedgerUser", "ListeningVoice", "PersonaMix", "Voice", "draw_persona", "with_slips"]
