"""Deployment on a board: inference, streaming, quantisation, verification and benchmarks with numpy and onnxruntime."""
