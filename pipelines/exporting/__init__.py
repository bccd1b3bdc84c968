"""The parts of `orrery export`: its source, one unit of it, who does what, the files, tokens."""
