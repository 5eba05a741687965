"""What explains the times of a run: one pure function for each cause, and its words."""
