"""Benchmarks. `python -m bench.run --help`; each figure is printed beside its ceiling, measured in the same run."""
