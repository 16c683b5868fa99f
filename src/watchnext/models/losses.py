"""Losses of both stages: sampled softmax with the log q correction, and weighted logistic regression."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from watchnext.models.config import Weighting


def sampled_softmax(
    user: Tensor,
    positive_vectors: Tensor,
    positive_ids: Tensor,
    negative_vectors: Tensor,
    negative_ids: Tensor,
    log_q: Tensor,
) -> Tensor:
    """Mean over examples of −log softmax of the positive, the sum over all videos estimated from shared samples.

    Of n draws from q, Σ exp(s_j) / (n q_j) over those that are not the positive estimates the softmax's sum over all
    other videos without bias. Hence a negative's logit is s − log(n q): what is drawn often counts less (paper,
    section 3.1: "correct for this sampling via importance weighting"). The positive is not drawn, so it has no
    correction; a draw that hits it is removed.

    Args:
        user: `[batch, dim]`.
        positive_vectors: `[batch, dim]`.
        positive_ids: `[batch]`, video rows.
        negative_vectors: `[samples, dim]`, drawn with replacement.
        negative_ids: `[samples]`, video rows.
        log_q: `[samples]`, natural log of the probability with which one draw gives this video.
    """
    positive = (user * positive_vectors).sum(dim=1, keepdim=True)  # (B, 1)
    negative = user @ negative_vectors.T - (log_q + math.log(len(log_q)))  # (B, S)
    negative = negative.masked_fill(positive_ids[:, None] == negative_ids[None, :], -torch.inf)
    return (torch.cat([positive, negative], dim=1).logsumexp(dim=1) - positive.squeeze(1)).mean()


def weighted_logistic(logit: Tensor, clicked: Tensor, seconds: Tensor, weighting: Weighting = "expected") -> Tensor:
    """Logistic loss whose odds e^logit are seconds of watch time, mean over impressions; all arguments `[batch]`.

    "expected": every impression is a negative of weight 1, and a clicked one adds a positive of weight T seconds. The
    odds of N impressions are ΣT / N, the expected watch time. "paper" (section 4.2): a clicked impression is a positive
    of weight T, an unclicked one a negative of weight 1. The odds are ΣT / (N − k), too high where clicks are common.
    An unclicked impression has T = 0 whatever `seconds` says.
    """
    clicked = clicked.to(logit.dtype)
    negatives = torch.ones_like(clicked) if weighting == "expected" else 1 - clicked
    positives = clicked * seconds.to(logit.dtype)
    return (negatives * functional.softplus(logit) + positives * functional.softplus(-logit)).mean()
