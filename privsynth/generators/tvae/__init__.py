"""`tvae`: a variational autoencoder trained with Opacus DP-SGD."""
