"""A network as a file that other runtimes run, written node by node from its graph."""

__all__: list[str] = []
