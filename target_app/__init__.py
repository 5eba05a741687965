"""The application under test. It imports nothing of the dashboard and also runs alone.

`target_app.main:app` is the import string for any ASGI server; `python -m target_app` serves it
with uvicorn. settings.py lists the environment variables, workloads/ holds one router for each
workload, and /openapi.json is the catalogue: each operation carries a ready request class under
`x-looplab`.
"""
