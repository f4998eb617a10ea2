"""Which files there are, how they are opened, and how rows come out of them."""
