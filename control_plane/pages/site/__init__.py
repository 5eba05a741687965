"""What stands around every page: templates, the top bar, errors, the glossary."""
