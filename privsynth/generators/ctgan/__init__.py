"""`ctgan`: a conditional GAN whose critic is trained with Opacus DP-SGD."""
