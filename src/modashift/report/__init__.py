"""Reports on runs: tables with intervals, paired tests, published numbers beside them, figures."""
