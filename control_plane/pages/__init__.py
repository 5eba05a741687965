"""HTML for people: a package for each page, above those for the parts that pages share."""
