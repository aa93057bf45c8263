"""What a run needs of its machine: device, processes, signals, the lock on its folder."""
