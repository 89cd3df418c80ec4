"""Raw layouts: one module each turns raw files into spots and counts. Import ``stainscript.datasets.base``."""
