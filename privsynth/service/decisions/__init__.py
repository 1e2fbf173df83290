"""What people decide on the releases of the service: by the rooms that the command line calls, and in the database."""
