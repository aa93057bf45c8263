"""The ONNX writer."""
