"""One candidate: trained, exported, proven, measured."""
