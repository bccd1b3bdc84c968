"""``orrery <command> [overrides]``: one Hydra app per command, over the configuration that ships in ``conf``.

Whatever is the user's to mend (an unknown key, a wrong type, a directory that holds another run) is one message that
names the key and the cure, with exit code 2; everything else keeps its traceback, on the screen and in the run's log.
"""

import errno
import importlib.metadata
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipelines import composition, usage
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory, link_latest, new_default_path
from pipelines.schema import App, load, page, registered
from pipelines.structured import build, nearest, plain

__all__ = ["COMMANDS", "main"]

COMMANDS = (
    "quickstart", "evolve", "gym", "validate", "inspect", "synthesize", "export", "sft", "train", "rescore", "long2short",
    "evaluate", "controls", "bench", "serve-mcp",
)  # fmt: skip

# Set before any engine is imported: no calls to a hub, no usage reports, tokenizers that may be forked.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_USER_ERROR, _CRASH, _INTERRUPTED = 2, 1, 130


def main() -> None:
    """The ``orrery`` command; never returns."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill also lets engines and logs be closed
    try:
        sys.exit(_dispatch(sys.argv[1:]))
    except BrokenPipeError:  # `orrery train --help | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CRASH)


def available() -> tuple[str, ...]:
    """The commands whose page exists, and any that other code has registered."""
    ours = [name for name in COMMANDS if importlib.util.find_spec(page(name)) is not None]
    return tuple(dict.fromkeys([*ours, *registered()]))


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage.overview(available()))
        return 0
    if arguments[0] == "--version":
        print(f"orrery {importlib.metadata.version('orrery')}")
        return 0
    name, rest = arguments[0], list(arguments[1:])
    if name not in available():
        suggestion = nearest(name, available())
        return _complain("orrery", f"no command '{name}'{suggestion}\nCommands: {', '.join(available())}")
    app = load(name)
    try:
        if "-h" in rest or "--help" in rest:
            flags, overrides = composition.split(rest)
            print(usage.command(app, overrides, flags))
            return 0
        _run(app, rest)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # of composing; a run's own end in `_execute`
        return _complain(f"orrery {name}", composition.explain(error, name, app.config))
    except UserError as error:
        return _complain(f"orrery {name}", str(error))
    return 0


def _run(app: App, arguments: Sequence[str]) -> None:
    """Hand over to Hydra, which composes the config (once per arm with ``-m``) and calls `task` with it."""
    flags, overrides = composition.split(arguments)
    if {"-m", "--multirun"} & set(flags):
        for arm in composition.arms(app.name, flags, overrides):
            build(app.config, arm)  # a mistake in the last arm shows before the first one has run for an hour

    def task(config: DictConfig) -> None:
        arm = HydraConfig.get()
        sys.argv = ["orrery", app.name, *arm.overrides.task]  # as typed, for the log
        if arm.mode == RunMode.MULTIRUN:
            print(f"arm {arm.job.num}: {arm.job.override_dirname}")
        status = _execute(app, config)
        if status != 0:
            raise SystemExit(status)  # passes through Hydra, which has its own way to show exceptions

    sweep_directory = new_default_path(app.name)
    OmegaConf.register_new_resolver("orrery_sweep_directory", lambda out: out or str(sweep_directory), replace=True)
    ours = [
        f"hydra.job.name={app.name}",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
        "hydra.output_subdir=null",
        "hydra.run.dir=.",
        "hydra.sweep.dir='${orrery_sweep_directory:${out}}'",
    ]
    # Makes Hydra raise instead of print and exit, so that every error is told in one way.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"orrery {app.name}", *flags, *ours, *overrides]
    hydra.main(version_base="1.3", config_path=composition.CONFIG_PATH, config_name=app.name)(task)()


def _execute(app: App, composed: DictConfig) -> int:
    """One run: its directory, its log, its summary. Returns the exit status."""
    started: list[RunDirectory] = []
    try:
        config: Any = build(app.config, OmegaConf.to_container(composed, resolve=True))
        if app.check is not None:
            app.check(config)
        with RunDirectory.open(app.name, plain(config), out=_out(app.name, config), resume=config.resume) as run:
            started.append(run)
            if run.finished and app.unfinished is not None and app.unfinished(run.read_summary()):
                run.reopen()
            if run.finished:
                print(f"{run.path} is finished already; its result is in {run.file('summary.json')}")
                return 0
            summary = app.run(config, run)
            if summary is not None:
                run.write_summary(summary)
            print(f"run directory: {run.shown_path}")
        return 0
    except KeyboardInterrupt:
        _complain(f"orrery {app.name}", "stopped", started)
        return _INTERRUPTED
    except BrokenPipeError:  # nobody reads what is printed any more: `main` ends quietly
        raise
    except Exception as raised:
        # An error of a Ray worker arrives wrapped, with the worker's traceback for a message; its cause is the error itself.
        error = getattr(raised, "cause", None) or raised
        if isinstance(error, (UserError, *app.user_errors)):
            return _complain(f"orrery {app.name}", str(error), started)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" while writing {error.filename}" if error.filename else ""
            return _complain(f"orrery {app.name}", f"the disk is full{where}; free some space", started)
        return _crash(raised, started)


def _out(command: str, config: Any) -> str | None:
    """The directory that this run was told to use: in a sweep every arm has one of its own."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode != RunMode.MULTIRUN:
        return config.out
    if config.out is None:
        link_latest(command, Path(hydra_config.sweep.dir))
    return str(hydra_config.runtime.output_dir)


def _complain(who: str, message: str, started: Sequence[RunDirectory] = ()) -> int:
    print(f"{who}: {message}", file=sys.stderr)
    for run in started:
        print(f"what was done is kept; continue with out={run.shown_path} resume=auto", file=sys.stderr)
    return _USER_ERROR


def _crash(error: Exception, started: Sequence[RunDirectory]) -> int:
    traceback.print_exception(error)
    for run in started:
        print(f"the log is in {run.file('run.log')}; continue with out={run.shown_path} resume=auto", file=sys.stderr)
    return _CRASH
