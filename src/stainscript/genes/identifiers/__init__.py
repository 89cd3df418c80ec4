"""Which gene a name means."""
