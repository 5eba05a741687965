"""What several pages show of runs: cells of tables, progress, environment, the other runs."""
