"""Stainscript: spatial gene expression from H&E slides, as a workflow of cached, resumable artifacts."""

__version__ = "0.1.0"
