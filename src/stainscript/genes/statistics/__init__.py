"""Reference statistics of the genes of many slides, which are never all in memory."""
