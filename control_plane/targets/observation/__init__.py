"""What a target, its client and the machine use and do, seen from outside and from inside."""
