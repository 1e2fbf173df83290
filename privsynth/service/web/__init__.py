"""The pages and the API of the service: HTTP around the acts, and nothing that an act could forget to check."""
