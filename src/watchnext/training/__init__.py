"""Training, a stage a file: snapshot, examples, towers, ranker, evaluate, gates, report, build."""
