"""The look inside: runs in the interpreter of a target, whichever it is (Python 3.8 and later)."""
