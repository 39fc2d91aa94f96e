"""TensorFlow and JAX behind one interface."""
