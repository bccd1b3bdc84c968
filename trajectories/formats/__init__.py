"""What other trainers read: one file a format, each a pure mapping from our rows to theirs.

The documented name of every column stands in the format's own docstring. What a format cannot say is refused by name.
"""

from trajectories.formats import native, nemo_gym, openai, skyrl, trl_preference, trl_prompt, trl_sft, verl
from trajectories.formats.format import STANDING_COLUMNS, Format, Group, Keep, Made, Row, UnsayableError, standing
from trajectories.formats.selection import Selection, Where
from trajectories.formats.settings import FormatSettings

__all__ = [
    "FORMATS", "STANDING_COLUMNS", "Format", "FormatSettings", "Group", "Keep", "Made", "Row", "Selection", "UnsayableError",
    "Where", "standing",
]  # fmt: skip

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (native, trl_sft, trl_prompt, trl_preference, verl, skyrl, openai, nemo_gym)
}
