"""The subcommands: `add_arguments(parser)` and `run(options)` each."""
