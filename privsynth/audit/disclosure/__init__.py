"""What a synthetic table gives away of a person: singling out, linkability, inference, copies, identifiers."""
