"""The machine that a run is on: device, processes, signals, the lock of its folder."""
