"""What KServe's InferenceGraph router does with a graph: `lint` says it without running, `dry_run` by running it.

Read in the router's source, `cmd/router/main.go` of KServe 0.20.0, and in its webhook; each rule is tested against both
(`tests/services/test_graph_router.py`). `docs/graph.md` lists the rules.
"""
