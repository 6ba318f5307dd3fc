"""HTTP in and out, and nothing else: each file is a group of routes, or a part that every route goes through."""
