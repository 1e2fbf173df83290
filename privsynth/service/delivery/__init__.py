"""What leaves the service: published editions, offered to named recipients."""
