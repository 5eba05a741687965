"""The application under test. It imports nothing of the dashboard and also runs alone.

`target_app.main:app` is the import string for any ASGI server; `python -m target_app` serves it
with uvicorn. target_settings.py lists the environment variables and workloads/ holds one router for
each workload. The OpenAPI document, at /openapi.json or from `python -m target_app --openapi`, is
their catalogue: each operation carries `x-looplab`, with a ready request class and the aliases of
its path.
"""
