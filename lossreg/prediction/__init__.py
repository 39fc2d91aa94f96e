"""Prediction: preprocessing, network and decision of a trained trial as one object that takes raw rows."""
