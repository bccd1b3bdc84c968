"""What the recipe adds to the bare loop; every piece is a setting, and off unless asked for."""

from dataclasses import dataclass

__all__ = ["RecipeSettings"]


@dataclass(frozen=True, kw_only=True)
class RecipeSettings:
    """Extras of the recipe."""
