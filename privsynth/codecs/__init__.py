"""Row by row from cells to codes and back. Nothing here is learned from rows."""
