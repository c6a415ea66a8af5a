"""A search request as SQL: the tree becomes conditions on one row, the sort keys become expressions."""
