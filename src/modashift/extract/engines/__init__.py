"""Ways to work on many recordings at once; each yields events and survives the death of its workers."""
