"""One router for each workload."""
