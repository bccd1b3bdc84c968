"""The parts of `orrery validate`: probes of tasks, checks of data sets, reports."""
