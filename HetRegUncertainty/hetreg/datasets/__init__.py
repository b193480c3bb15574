"""Datasets: pairs of images for training and evaluation."""
