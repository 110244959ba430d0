"""Tables: CSV files and JSON lists, with images at paths or URLs, or numbers in the rows."""
