"""The definitions of deploy/: linted, and run as processes of their own."""
