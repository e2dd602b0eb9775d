"""The PePR paper: what its pages show, and how the site is built. It is not in the wheel."""
