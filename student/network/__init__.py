"""The student's network, its fused form and its ONNX export."""
