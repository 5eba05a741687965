"""What the control plane holds of the processes that it starts, be they targets or load workers."""
