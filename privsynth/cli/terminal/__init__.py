"""What all commands share: options, output and progress on a terminal."""
