"""What a synthetic table reveals about people: singling out, linkability, inference, copies, identifiers."""
