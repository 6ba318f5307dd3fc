"""Everything here runs beside tenant code; it imports nothing from `engine` or `tenants`."""
