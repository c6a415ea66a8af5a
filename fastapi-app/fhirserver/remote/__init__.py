"""What the server asks of others: documents by HTTP, Redis."""
