"""What a verification looks at, part by part; `privsynth.signing.verification` puts them together."""
