"""Inference sessions: onnxruntime, TensorRT and LiteRT."""
