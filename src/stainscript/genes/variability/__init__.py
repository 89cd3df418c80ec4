"""How much genes vary beyond what their mean explains."""
