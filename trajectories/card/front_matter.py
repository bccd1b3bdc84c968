"""The YAML at the top of a data set's card: what the Hugging Face Hub shows, and what `datasets` loads the folder by."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from huggingface_hub import DatasetCardData

from trajectories.card.folder import Files

__all__ = ["DEFAULT_CONFIG", "front_matter", "size_category"]

DEFAULT_CONFIG: Final = "default"

_SIZES: Final = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_HUB_LICENCES: Final = frozenset(
    [
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "odc-by",
        "odbl",
        "pddl",
        "unlicense",
        "mpl-2.0",
        "isc",
    ]
)
"""The Hub's identifiers that are SPDX's in small letters; others are shown under ``license_name``."""


def front_matter(
    title: str,
    configs: Mapping[str, Files],
    *,
    rows: int,
    languages: Iterable[str] = (),
    licences: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> str:
    """The block with its ``---`` lines.

    Args:
        configs: as `trajectories.card.folder.configurations` finds them; the first is the one that is loaded unless
            another is named.
        rows: of the default configuration.
        languages: codes, the most frequent first.
        licences: SPDX identifiers; none for an unknown licence.
    """
    spoken = list(languages)
    data = DatasetCardData(
        language=spoken or None,
        multilinguality=("multilingual" if len(spoken) > 1 else "monolingual") if spoken else None,
        pretty_name=title,
        size_categories=[size_category(rows)],
        task_categories=["text-generation", "reinforcement-learning"],
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        source_datasets=["original"],
        tags=["synthetic", "agent", "tool-use", "function-calling", *tags],
        **_licence(sorted(set(licences))),
        configs=[_config(name, files, default=not number) for number, (name, files) in enumerate(configs.items())],
    )
    return f"---\n{data.to_yaml()}\n---\n"


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((name for bound, name in _SIZES if rows < bound), "10M<n<100M")


def _config(name: str, files: Files, *, default: bool) -> dict[str, Any]:
    data_files = [{"split": split, "path": pattern} for split, pattern in files.patterns.items()]
    return {"config_name": name or DEFAULT_CONFIG, "data_files": data_files, **({"default": True} if default else {})}


def _licence(spdx: list[str]) -> dict[str, Any]:
    known = [name.lower() for name in spdx if name.lower() in _HUB_LICENCES]
    if not spdx:
        return {"license": "unknown"}
    if len(known) == len(spdx):
        return {"license": known[0] if len(known) == 1 else known}
    return {"license": "other", "license_name": " and ".join(spdx).lower().replace(" ", "-")}
