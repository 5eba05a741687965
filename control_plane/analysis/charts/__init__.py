"""Figures as data, drawn in the browser. Colours are names that the page's style sheet holds."""
