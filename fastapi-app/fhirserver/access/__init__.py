"""Who may see what. Every interaction receives a `Policy` in its `Call`; nothing else decides about access."""
