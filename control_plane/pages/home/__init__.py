"""What is running, the questions to start with, and the latest runs."""
