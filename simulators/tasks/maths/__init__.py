"""Maths, STEM and logic: problems with answers that can be checked exactly, from single calculations to sudokus and integrals."""

from simulators.tasks.maths.domain import DOMAIN

__all__ = ["DOMAIN"]
