"""The parts of `orrery gym`."""
