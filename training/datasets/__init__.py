"""Data sets, one file a format. Those of people with joints give `people.People`."""
