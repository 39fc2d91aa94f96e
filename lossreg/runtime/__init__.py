"""The surroundings of lossreg: the backend of Keras, the user's code, the limits of the machine."""
