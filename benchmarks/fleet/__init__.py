"""As many videos as a key allows, made by several processes: `python -m benchmarks.fleet`."""
