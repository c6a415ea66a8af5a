"""Tree → another form of it, a pass per file. The docstring of a pass is before → after."""
