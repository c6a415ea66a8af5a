"""The OAuth 2 authorization server: apps, what they are given, and how they prove who they are."""
