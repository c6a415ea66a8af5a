"""What operators see of the server: log lines and metrics."""
