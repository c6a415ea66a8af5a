"""What is done to every request and answer: plain ASGI applications around the application."""
