"""What the genes of a panel do, in words: fetched or derived, rewritten on request, kept for good."""
