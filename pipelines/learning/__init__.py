"""Reinforcement learning: `loop` is the page to begin with."""
