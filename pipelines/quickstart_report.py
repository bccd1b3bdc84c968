"""The quickstart's ``report.md``: the learning curve, the held-out results, and dialogues before and after, to be read."""

from collections.abc import Sequence
from typing import Any

from pipelines.report import Curve, Panel, Report, Ruler, dialogue, draw, estimates_table, table
from pipelines.run_directory import RunDirectory
from trajectories.tasks import Task
from trajectories.trajectory import Trajectory

__all__ = ["write_report"]


def write_report(
    run: RunDirectory,
    summary: dict[str, Any],
    tasks: Sequence[Task],
    before: Sequence[Trajectory],
    after: Sequence[Trajectory],
) -> None:
    """Write ``report.md`` and its picture into the run directory.

    Args:
        summary: the content of ``summary.json`` as far as it is known.
        tasks, before, after: the held-out tasks and the episodes on them, in one order.
    """
    held = summary["held_out"]
    draw(_panels(run, held), run.path / "learning.png")
    report = Report("From random weights to a better agent")
    report.text(
        f"One policy ({summary['policy']['parameters']:,} parameters, {summary['policy']['active_parameters']:,} active"
        f" per token) learnt from demonstrations, then from its own rollouts. {held['tasks']:,} held-out tasks, one episode"
        " each, sampled at temperature 1; intervals are 95 %."
    )
    agents = {
        "oracle": held["oracle"],
        "teacher": held["teacher"],
        "after reinforcement learning": held["rl"],
        "after the cold start": held["sft"],
        "always act": held["always_act"],
        "always refuse": held["always_refuse"],
        "null": held["null"],
    }
    report.section("Held-out tasks", estimates_table(agents, "agent"))
    report.text(estimates_table({"reinforcement learning minus cold start, same tasks": held["difference"]}, "difference"))
    report.picture("learning.png", "Pass rate, entropy, divergence and seconds over the steps of reinforcement learning")
    apart = {
        f"{name.replace('_', ' ')}, {when}": estimates[key]
        for name, estimates in summary["apart"].items()
        for key, when in (("sft", "cold start"), ("rl", "after RL"), ("oracle", "oracle"))
        if key in estimates
    }
    worlds = {
        f"{world}, {when}": estimate
        for key, when in (("sft", "cold start"), ("rl", "after RL"))
        for world, estimate in summary["by_world"][key].items()
    }
    report.section("By world", estimates_table(worlds, "world"))
    report.section(
        "Apart: what it was not trained on",
        "A world that it has never seen, tasks of several sub-goals, and the same tasks at temperature 0.\n\n"
        + estimates_table(apart, "tasks"),
    )
    train = summary["train"]
    report.section(
        "Proofs",
        table(
            ["what", "value"],
            [
                ["weight updates, each acknowledged with a digest and proven by a probe", train["weight_syncs"]],
                ["largest difference engine - trainer over sampled tokens (nats)", f"{train['max_logprob_difference']:.1e}"],
                ["mean difference (nats)", f"{train['mean_logprob_difference']:.1e}"],
                ["episodes that ended by a fault", sum(train["faults"].values())],
            ],
        ),
    )
    report.section("Dialogues")
    learnt, failing = _chosen(before, after)
    report.text(_told("Before RL", tasks[learnt], before[learnt]))
    report.text(_told("The same task after RL", tasks[learnt], after[learnt]))
    report.text(_told("After RL, another task", tasks[failing], after[failing]))
    report.write(run.path / "report.md")


def _panels(run: RunDirectory, held: dict[str, Any]) -> list[Panel]:
    series = run.events.series
    rulers = [
        Ruler("held out, after the cold start", held["sft"]["pass"], tuple(held["sft"]["ci95"])),
        Ruler("held out, after RL", held["rl"]["pass"], tuple(held["rl"]["ci95"])),
    ]
    return [
        Panel(
            "Pass rate",
            "share of episodes (temperature 1)",
            [Curve("rollouts on fresh training tasks", series("reward/pass_rate"), smooth=5)],
            rulers,
            y_range=(0.0, 1.0),
        ),
        Panel("Entropy", "nats per sampled token", [Curve("policy", series("train/entropy_per_token"), smooth=5)]),
        Panel("Divergence in one step", "KL to the old policy (nats per token)", [Curve("k3", series("train/kl_per_token"))]),
        Panel(
            "Seconds of a step",
            "seconds",
            [
                Curve("rollouts", series("time/rollout_seconds")),
                Curve("training", series("time/train_seconds")),
                Curve("weight sync and proof", series("time/sync_seconds")),
            ],
        ),
    ]


def _chosen(before: Sequence[Trajectory], after: Sequence[Trajectory]) -> tuple[int, int]:
    """Which tasks to show: one that was learnt, and one that still fails (or any other where there is none)."""
    passed = [[bool(t.reward and t.reward.valid and t.reward.components["pass"]) for t in side] for side in (before, after)]
    numbers = range(len(before))
    learnt = next((n for n in numbers if not passed[0][n] and passed[1][n]), 0)
    failing = next((n for n in numbers if not passed[1][n] and n != learnt), len(before) - 1)
    return learnt, failing


def _told(title: str, task: Task, trajectory: Trajectory) -> str:
    reward = trajectory.reward
    verdict = "no verdict" if reward is None or reward.value is None else f"reward {reward.value:g}"
    cause = f" ({reward.cause})" if reward is not None and reward.cause else ""
    about = f"World `{task.world}`; wanted: {task.ledger.goal}. Verdict: {verdict}{cause}."
    return dialogue(trajectory.messages, heading=title, caption=about)
