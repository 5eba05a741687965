app = ["not", "an", "application"]
