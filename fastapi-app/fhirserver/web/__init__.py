"""HTTP: routes, content negotiation, headers, status codes. The only package that imports FastAPI and Starlette."""
