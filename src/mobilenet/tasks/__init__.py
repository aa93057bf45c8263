"""One file a task: what a label is, what the outputs of a network mean, which metrics count."""

__all__: list[str] = []
