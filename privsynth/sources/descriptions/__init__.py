"""What files beside the tables of a folder say of the links between them."""
