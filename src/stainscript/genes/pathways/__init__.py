"""Gene sets, the pathways made of them, and what groups of genes have to do with them."""
