"""The query: text → tree."""
