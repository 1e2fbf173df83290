"""Addresses on the network that the service may reach."""
