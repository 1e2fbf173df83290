"""Answers to requests for erasure (GDPR, Article 17): which releases a person may be in, and what that means."""
