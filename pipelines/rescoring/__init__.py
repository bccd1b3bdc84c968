"""Rollouts scored anew: `source` reads what a run recorded, `scoring` judges and composes, `comparison` and `ranking` say what
that changes, `report` tells it."""
