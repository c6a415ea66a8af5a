"""Facts about searches, asked of the whole server: what is stored, what is asked, what has to be found, and why."""
