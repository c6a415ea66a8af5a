"""The statements of the store, by what they do. Each function takes the `Statements` of one connection."""
