"""What reports are made of: records of public facts and of the officer's; none can hold a row of a table."""
