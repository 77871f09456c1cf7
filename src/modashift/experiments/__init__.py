"""Experiments: a declared grid of runs, executed in parallel and resumably."""
