"""Pure torch: user tower, video tower, ranker and their losses."""
