"""A user made of a ledger: what it says is decided by the ledger's rules, how it says it by a voice.

With the voice that is built in the user needs no model, never invents anything, and is a pure function of task, seed and
what the agent said.
"""

import random
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from simulators.users import voice
from simulators.users.ledger import Decision, decide
from trajectories.messages import Message
from trajectories.seeds import derive_rng
from trajectories.tasks import Persona, Task

__all__ = ["AnyVoice", "LedgerUser", "ListeningVoice", "Voice"]


class Voice(Protocol):
    """Puts a decision into words; the place of a model that plays the user.

    The words keep the ledger's truth: of every value that one of `decision.texts` holds the words hold it too, of a
    confirmation its fixed beginning, and of nothing else in the ledger anything. `voice.speak` is the voice that is built in.
    """

    def __call__(self, decision: Decision, persona: Persona, rng: random.Random) -> str: ...


@runtime_checkable
class ListeningVoice(Protocol):
    """A voice whose words depend on what was said before, too; `spoken.SpokenVoice` is one."""

    def listening(self, task: Task, dialogue: Sequence[Message]) -> Voice:
        """The voice for the user's next message; `dialogue` ends with the agent's, and holds words only, no calls."""
        ...


AnyVoice = Voice | ListeningVoice


class LedgerUser:
    """Plays the user of `task`; see `simulators.users.ledger` for its rules.

    Raises:
        ValueError: when nobody here speaks the persona's language.
    """

    def __init__(self, task: Task, seed: int, speak: AnyVoice = voice.speak) -> None:
        voice.require_language(task.persona.language)
        self._task, self._seed, self._speak = task, seed, speak
        self._past: list[Decision] = []
        self._dialogue = [self.opening()]

    def opening(self) -> Message:
        return Message("user", self._task.ledger.opening)

    def reply(self, message: Message) -> Message | None:
        """What the user says to `message`; None when the user leaves."""
        decision = decide(self._task, self._past, message.content)
        if decision.act == "leave":
            return None
        # The key is how many replies came before: the draw depends on the dialogue and not on when it is made.
        rng = derive_rng(self._seed, "user", self._task.id, len(self._past))
        self._past.append(decision)
        self._dialogue.append(Message("assistant", message.content))
        words = Message("user", self._voice_now()(decision, self._task.persona, rng))
        self._dialogue.append(words)
        return words

    def _voice_now(self) -> Voice:
        if isinstance(self._speak, ListeningVoice):
            return self._speak.listening(self._task, tuple(self._dialogue))
        return self._speak
