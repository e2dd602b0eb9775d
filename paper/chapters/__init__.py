"""What each page computes and quotes: one module per notebook, of the same name."""
