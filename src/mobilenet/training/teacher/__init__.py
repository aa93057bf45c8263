"""Learning from the outputs of another network: any task's objective, wrapped."""
