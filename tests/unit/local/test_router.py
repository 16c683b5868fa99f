from watchnext.local.router import graph_spec


def test_the_graph_is_a_sequence_of_two_hard_steps():
    spec = graph_spec("http://127.0.0.1:1", "http://127.0.0.1:2")

    assert spec["nodes"]["root"] == {
        "routerType": "Sequence",
        "steps": [
            {
                "name": "retrieval",
                "serviceUrl": "http://127.0.0.1:1/v1/models/retrieval:predict",
                "dependency": "Hard",
            },
            {
                "name": "ranking",
                "serviceUrl": "http://127.0.0.1:2/v1/models/ranker:predict",
                "data": "$response",
                "dependency": "Hard",
            },
        ],
    }
    assert spec["routerTimeouts"]["serviceClient"] >= 1
