"""Other people's recommenders on our split files, from their own packages, in an environment of their own.

`environment` makes it and runs the programs in it; all other modules run inside it and import nothing of the product
but its metrics, which are numpy.
"""
