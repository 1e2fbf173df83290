"""What an audit or a public figure says: a record with its interval, never a row."""
