"""The process in which a model file is measured."""
