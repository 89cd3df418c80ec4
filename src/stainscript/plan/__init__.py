"""From config to jobs: what the Snakefile asks. Everything here runs at every parse, so it imports nothing heavy."""
