"""Environments and policies for the agent loop's tests, all in this process: real worlds, real tasks, real dialects."""

from functools import cache

from rl.policy import dialects
from rl.policy.tokenizer import train_tokenizer
from rl.rollout.engine import EngineError
from rl.rollout.scripted_engine import ScriptedEngine
from simulators import worlds
from simulators.environment import Environment
from simulators.pool import SlotFault
from simulators.tasks.agents import make_agent, play
from simulators.tasks.compose import compose
from trajectories.messages import Message
from trajectories.outcomes import Fault


class LocalEpisodes:
    """`EnvironmentPool`'s methods without actors; remembers which slots are in use and how often it began an episode."""

    def __init__(self, max_turns=12):
        self.max_turns, self.running, self.resets = max_turns, {}, 0

    async def reset(self, slot, task, seed):
        self.resets += 1
        self.running[slot] = Environment(worlds.load(task.world), max_turns=self.max_turns)
        return self.running[slot].reset(task, seed)

    async def step(self, slot, message):
        return self._environment(slot).step(message)

    async def abort(self, slot, ending, fault=None, message=None):
        self._environment(slot).abort(ending, fault, message)

    async def outcome(self, slot):
        outcome = self._environment(slot).outcome()
        del self.running[slot]
        return outcome

    def _environment(self, slot):
        if slot not in self.running:
            raise SlotFault(slot, Fault("environment", "there is no episode in it"))
        return self.running[slot]


@cache
def some_tasks(count=4):
    return tuple(compose(worlds.load("order_desk"), index, run_seed=5, split="train", difficulty=1) for index in range(count))


@cache
def kimi():
    """A dialect whose tokenizer has seen the tasks' words."""
    texts = []
    for message in (message for task in some_tasks() for message in oracle_dialogue(task)):
        texts += [message.content, *(call.arguments for call in message.tool_calls)]
    return dialects.get("kimi_k2", train_tokenizer(texts * 2, 512), tools_format="none")


def oracle_dialogue(task):
    world = worlds.load(task.world)
    return play(task, world, make_agent("oracle", task, world), 0)[0]


def oracle_engine(tasks, dialect):
    """Writes what each task's oracle would; the log-probabilities tell the turn, the request's id tells the task."""
    turns = {task.id: [message for message in oracle_dialogue(task) if message.role == "assistant"] for task in tasks}

    def respond(prompt, sampling, request_id):
        *_, task_id, _, turn = request_id.split("/")
        tokens = dialect.render_turn(turns[task_id][int(turn)])
        return tokens, [-float(turn) - 0.5] * len(tokens)

    return ScriptedEngine(respond)


def text_engine(dialect, *turns):
    """Writes the same turns, one after the other, whatever it reads; a turn is a message or raw token ids."""

    def respond(prompt, sampling, request_id):
        turn = turns[int(request_id.rsplit("/", 1)[1])]
        tokens = dialect.render_turn(turn) if isinstance(turn, Message) else list(turn)
        return tokens, [-0.25] * len(tokens)

    return ScriptedEngine(respond)


def repeating_engine(*played, **options):
    """Says in each place what was said there in these trajectories, or the rest of it where a part is there already: a
    function of the prompt alone, so that no cut changes what is said. Log-probabilities tell the place."""
    turns = [turn for trajectory in played for turn in _turns(trajectory)]

    def respond(prompt, sampling, request_id):
        for before, turn in turns:
            said = prompt[len(before) :]
            if prompt[: len(before)] == before and len(said) < len(turn) and turn[: len(said)] == said:
                rest = turn[len(said) :]
                return rest, [place_log_prob(len(prompt) + offset) for offset in range(len(rest))]
        raise EngineError(f"nothing was said in this place; {request_id} asked")

    return ScriptedEngine(respond, **options)


def place_log_prob(place):
    return -(place % 97 + 1) / 128


def _turns(trajectory):
    before = []
    for segment in trajectory.segments:
        if segment.origin == "policy":
            yield list(before), list(segment.token_ids)
        before += segment.token_ids
