"""The child processes of the control plane, be they targets or load workers."""
