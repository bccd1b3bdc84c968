"""Says what is wrong with a lexicon file: ``python -m simulators.evolution.check FILE``."""

import sys
from pathlib import Path

from simulators.evolution.domains import read_category
from simulators.worlds.document import WorldSpecError

if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            category = read_category(Path(name))
        except WorldSpecError as error:
            sys.exit(str(error))
        entities = sum(len(domain.entities) for domain in category.domains.values())
        print(f"{name}: {len(category.domains)} domains, {entities} entities")
