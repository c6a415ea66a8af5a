"""What the server says about itself, built from the definitions of R4: capabilities and API documentation."""
