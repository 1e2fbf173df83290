"""Who logs in to a database where its URL does not say."""
