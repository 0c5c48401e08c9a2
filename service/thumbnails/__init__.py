"""Small pictures of a dataset's frames: made when first asked for, kept in the store, gone with the dataset.

maker       the confined child: an image file in, a small JPEG out
thumbnails  what the API and the page ask: from the store, or by a maker
"""
