"""The order of a panel's genes and their groups, from which coarse-to-fine methods pool (GenAR)."""
