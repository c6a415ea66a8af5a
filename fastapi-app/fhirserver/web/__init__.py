"""HTTP: routes, content negotiation, headers. The only package that imports FastAPI and Starlette."""
