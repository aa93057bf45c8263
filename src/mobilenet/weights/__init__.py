"""MobileNet weights from other tools: each reader turns one kind of file into a `ForeignNetwork`, and `recognise`
determines which of our tables it matches."""
