"""Features from recordings: words, face and voice."""
