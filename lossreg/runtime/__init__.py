"""What lossreg runs on: the backend of Keras, the code of its user, the limits of the machine."""
