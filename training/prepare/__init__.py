"""Data sets in the forms that the trainers read: converted from what their makers give out, or made here."""
