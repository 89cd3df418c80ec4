"""Counts as tokens, and the vocabularies that tokens come from."""
