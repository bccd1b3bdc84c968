"""The parts of `orrery synthesize`: who takes part, the work of a worker, the order of the chunks, the journal, the report."""
