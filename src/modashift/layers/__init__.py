"""Which layer of an encoder is best: all trained alike, one chosen on dev, and what the test split says of it."""
