"""Weights from timm checkpoints."""
