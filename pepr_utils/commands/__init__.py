"""The subcommands of `pepr`, one module each."""
