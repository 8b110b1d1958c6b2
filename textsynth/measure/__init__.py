"""What a set of records is like, measured while it grows: how varied it is, and what each further record adds."""
