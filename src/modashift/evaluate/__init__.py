"""What a run is worth: metrics, plots and tables."""
