"""Deployment: recognise, stream, quantise, verify and measure with numpy and onnxruntime."""
