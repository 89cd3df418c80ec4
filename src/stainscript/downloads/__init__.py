"""Published files: where they come from, and how they get here whole."""
