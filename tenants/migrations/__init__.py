"""How the tables came to be: forward only, run when the store opens."""
