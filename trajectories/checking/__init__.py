"""What a consumer of a data set folder relies on, checked row by row without any simulator, tokenizer or verifier.

Each module is one check, or what several share. A check is a function from stored records to problems in words; whoever calls
it adds where they stand (`Finding`). Nothing here raises because of what a row holds.
"""

from trajectories.checking.findings import CHECKS, FINDING_SCHEMA, Finding

__all__ = ["CHECKS", "FINDING_SCHEMA", "Finding"]
