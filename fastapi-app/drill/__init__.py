"""Tests of a running server, wherever it runs: `python -m drill` (run_tests.sh basic, complete, all)."""
