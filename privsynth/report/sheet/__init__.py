"""The decision sheet: page one of a report, which answers what an officer or a recipient asks first, in plain words."""
