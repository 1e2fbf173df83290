"""The service: one institution's requests, decisions and deliveries, in a browser and by an API.

What it does is what the command line does: the same pipeline, ledger, keys, approvals and log. It adds who may ask for
it, and in which order.
"""
