"""Domains of verifiable tasks: what each one is, how its tasks are numbered, and their certification."""
