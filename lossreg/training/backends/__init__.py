"""What TensorFlow and JAX do each in their own way, behind one interface."""
