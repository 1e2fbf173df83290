"""What `tvae` and `ctgan` share: networks of codes, and DP-SGD on units."""
