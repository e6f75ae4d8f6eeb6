"""What every backend must pass: the reference's bits, on exhaustive tables and on random networks."""
