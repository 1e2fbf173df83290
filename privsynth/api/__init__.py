"""What `import privsynth` offers: the functions, and `Synthesizer`. They import what they need when they are called."""
