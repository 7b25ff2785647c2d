"""Web: the pages and the Binder interface. The only folder that knows Starlette."""
