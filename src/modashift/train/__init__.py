"""Training: one visible loop in plain torch for every model."""
