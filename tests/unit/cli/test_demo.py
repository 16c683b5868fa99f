from watchnext.cli.demo import side_by_side


def test_contenders_stand_side_by_side():
    metrics = {
        "item cosine recall@50": 0.5,
        "popular recall@50": 0.25,
        "ranker auc": 0.75,
        "towers recall@50": 0.625,
        "video mean auc": 0.5,
    }
    assert list(side_by_side(metrics)) == [
        (["ranker", "video mean"], [["auc", "0.7500", "0.5000"]]),
        (["item cosine", "popular", "towers"], [["recall@50", "0.5000", "0.2500", "0.6250"]]),
    ]
