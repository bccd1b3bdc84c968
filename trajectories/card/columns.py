"""What every column means, said once: for the card of a data set, and for whoever exports one."""

from collections.abc import Mapping
from typing import Final

__all__ = ["COLUMN_MEANINGS", "EXPORT_COLUMN_MEANINGS", "TASK_COLUMN_MEANINGS"]

COLUMN_MEANINGS: Final[Mapping[str, str]] = {
    "id": "Of the dialogue: its task and which try at it.",
    "task_id": "Of the task: a digest of the task's content.",
    "rollout": "Which try at the task, from 0.",
    "branch": "Which branch of the dialogue; a chat template that drops earlier reasoning starts a new one.",
    "seed": "What the draws of the episode were derived from.",
    "messages": "The dialogue in OpenAI's chat shape, system prompt first; `arguments` is the text that the agent wrote.",
    "tools": "What the agent could call, in the shape of OpenAI's `tools` list.",
    "tool_extras": "Per tool, what MCP says of it beyond that: title, output schema, annotations; null where nothing.",
    "segments": "The exact tokens: who wrote them, ids, log-probabilities (nats), sampling; empty where no policy read them.",
    "outcome": "JSON text of what could be observed at the end: ending, state changes, calls, messages, checkpoints, faults.",
    "reward": "The verdict's value; null where there is none.",
    "reward_valid": "True: a verdict about the agent. False: something else broke, so there is none. Null: nobody has judged.",
    "reward_detail": "JSON text of the reward's cause and components; `pass` is 1 where the task was solved.",
    "verdicts": "Who said what of which criterion, with reasons and evidence: the program that checks the rubric, rules, judges.",
    "world": "Name or path of the simulated world.",
    "world_fingerprint": "Digest of the world's whole specification.",
    "tool_fingerprints": "Per tool, digest of everything that a caller can see of it.",
    "certificate": "The task's proof: the reward of an oracle, which passes, and of every cheat, which fails.",
    "run_seed": "What the seeds of task, user and policy were derived from.",
    "parents": "Ids of the rows that this one was made from.",
    "models": "Role to the name of the model that played it; roles that programs played are left out.",
    "licence": "SPDX identifier of the row's licence.",
    "metadata": "Number, split, difficulty, tags, persona, language, policy, its errors, who is to blame for a failure.",
    "schema_version": "Of these columns.",
}
"""By column of `trajectories.codec.TRAJECTORY_SCHEMA`."""

TASK_COLUMN_MEANINGS: Final[Mapping[str, str]] = {
    "id": "Digest of the task's content; `task_id` of its dialogues.",
    "world": "Name or path of the simulated world.",
    "seed": "Of the world's instance.",
    "split": "`train` or `held_out`; the two share no task.",
    "difficulty": "Number of sub-goals, 1 to 3.",
    "tags": "What is hard about it, and `op:` with each operation that it is about.",
    "persona": "Who the user is: style, language, patience.",
    "ledger": "What the user wants, its words, and what it says only when asked.",
    "rubric": "Success criteria, tool-use patterns and checkpoints that verdicts rest on.",
    "gold": "How the world is prepared, one way to do the task, and the difference that it must leave.",
    "certificate": "Rewards of the oracle and of every cheat that was tried.",
    "agent": "System prompt and tools of the assistant; null where it has every tool of the world.",
    "domain": "Whose verifier judges the task: tool_use, maths, instructions and so on.",
    "key": "What the verifier needs and no agent is shown: answers, constraints, hidden tests. Null in tool_use.",
}
"""By column of `trajectories.codec.TASK_SCHEMA`."""

EXPORT_COLUMN_MEANINGS: Final[Mapping[str, str]] = {
    "prompt": "Everything before the agent's first turn (or before the pair parts).",
    "completion": "What the agent wrote after the prompt, and what it was answered.",
    "chosen": "The rest of a dialogue that solved the task.",
    "rejected": "The rest of a dialogue of the same task that did not.",
    "chosen_id": "Id of the dialogue behind `chosen`.",
    "rejected_id": "Id of the dialogue behind `rejected`.",
    "shared_messages": "How many messages the two have in common from the start.",
    "task": "The whole task: who the user is, rubric, gold.",
    "data_source": "Which reward function a trainer takes: the project and the world.",
    "agent_name": "Which agent loop of the trainer plays the row.",
    "ability": "What the row trains.",
    "reward_model": "How it is judged; `ground_truth` is the task as JSON text.",
    "reward_spec": "How it is judged; `ground_truth` is the task as JSON text.",
    "env_class": "Which environment of the trainer plays the row.",
    "extra_info": "Split, number, task, world, tools, and which world a tool opens.",
    "parallel_tool_calls": "Whether a message of the dialogue has several calls.",
    "responses_create_params": "Prompt and tools as the Responses API takes them.",
    "verifier_metadata": "Task and world, for the verifier.",
    "agent_ref": "Which agent server plays the row.",
}
"""By column that exports in other formats have beside ours."""
