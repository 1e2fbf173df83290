"""The next-event network: each row of a linked table given what is known of it before it is drawn."""
