"""Other people's MobileNet weights: each reader turns one kind of file into a `ForeignNetwork`, `recognise` finds out
which of our tables that is."""
