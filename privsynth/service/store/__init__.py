"""What the service remembers, in SQLite or PostgreSQL: people, sources, runs, decisions, offers, and every act."""
