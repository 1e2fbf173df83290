"""What the synthetic table leaves out of the real one, and what it invents."""
