"""The parts of `orrery inspect`: rows, what is shown of them, console and page."""
